# Numbers made in R 4.2 for tests/evaluate: run with `Rscript make_references.R` in this folder.
# Needs coda, bayesplot and rstanarm. Everything written here is rounded to what CSV needs.
set.seed(20261121)
write_table <- function(x, file) write.csv(x, file, row.names = FALSE, quote = FALSE)

# 1. Narrowest windows: coda::HPDinterval spans round(prob * S) gaps between draws.
draws <- round(cbind(a = rlnorm(400, 1, 0.6), b = rnorm(400, 5, 2), c = rgamma(400, 3, 1)), 6)
write_table(draws, "hdi_draws.csv")
hdi <- do.call(rbind, lapply(c(200, 320, 379), function(gap) {
  interval <- coda::HPDinterval(coda::as.mcmc(draws), prob = gap / 400)
  data.frame(n_points = gap + 1, site = rownames(interval), lower = interval[, 1],
             upper = interval[, 2])
}))
write_table(hdi, "hdi_coda.csv")

# 2. Equal-tailed intervals: quantile(), type 7.
eti <- do.call(rbind, lapply(c(0.5, 0.8, 0.95), function(p) {
  q <- apply(draws, 2, quantile, probs = c((1 - p) / 2, (1 + p) / 2), type = 7)
  data.frame(prob = p, site = colnames(draws), lower = q[1, ], upper = q[2, ])
}))
write_table(eti, "eti_quantile.csv")

# 3. Calibration line: lm() on all sites and without each patient in turn.
sizes <- c(6, 5, 12, 8, 3, 7, 9, 4, 3)
patient <- rep(seq_along(sizes), sizes)
x <- round(rnorm(sum(sizes), 2, 0.7) + rnorm(9, 0, 0.5)[patient], 6)
y <- round(0.2 + 0.9 * x + rnorm(9, 0, 0.4)[patient] + rnorm(sum(sizes), 0, 0.5), 6)
write_table(data.frame(patient, predicted_log = x, observed_log = y), "calibration_sites.csv")
lines <- do.call(rbind, lapply(c("site", "patient"), function(weights) {
  w <- if (weights == "site") rep(1, length(x)) else 1 / sizes[patient]
  full <- coef(lm(y ~ x, weights = w))
  left_out <- t(sapply(1:9, function(g) {
    keep <- patient != g
    coef(lm(y[keep] ~ x[keep], weights = w[keep]))
  }))
  se <- sqrt(8 / 9 * colSums(sweep(left_out, 2, full)^2))
  t_quantile <- qt(0.975, 8)
  data.frame(weights, term = c("intercept", "slope"), estimate = full,
             lower = full - t_quantile * se, upper = full + t_quantile * se)
}))
write_table(lines, "calibration_lm.csv")

# 4. Bayesian R2: rstanarm's own, with the draws that it is made of.
fit <- rstanarm::stan_glm(mpg ~ wt + hp, data = mtcars, chains = 1, iter = 400, seed = 1,
                          refresh = 0)
keep <- 1:50
mean_draws <- signif(rstanarm::posterior_epred(fit)[keep, ], 12)
write_table(data.frame(sigma = as.matrix(fit, pars = "sigma")[keep, 1],
                       r2 = rstanarm::bayes_R2(fit)[keep], mean_draws),
            "bayes_r2_rstanarm.csv")

# 5. ECDF bands: probability that the ECDF of n uniforms stays inside the binomial limits of one
#    pointwise level, by bayesplot's recursion, and the level that bayesplot's optimiser finds.
inside <- function(gamma, n, k) {
  lims <- bayesplot:::ecdf_intervals(gamma, n, k)
  z <- seq(0, 1, length.out = k + 1)
  p <- 1
  x1 <- 0
  for (i in seq_len(k)) {
    x2 <- lims$lower[i + 1]:lims$upper[i + 1]
    p <- bayesplot:::p_interior(p_int = p, x1 = x1, x2 = x2, z1 = z[i], z2 = z[i + 1], N = n)
    x1 <- x2
  }
  sum(p)
}
bands <- expand.grid(n = c(18, 57, 300), k = c(20, 57), prob = c(0.95, 0.99))
bands$gamma <- mapply(function(n, k, prob) bayesplot:::adjust_gamma(n, K = k, prob = prob),
                      bands$n, bands$k, bands$prob)
bands$inside <- mapply(inside, bands$gamma, bands$n, bands$k)
write_table(bands, "ecdf_bands_bayesplot.csv")

# 6. Whitened residuals: mahalanobis() of two patients' observations against their draws.
joint <- round(matrix(rnorm(200 * 5), 200, 5) %*% chol(0.5 + 0.5 * diag(5)) * 0.4 + 1, 6)
observed <- round(c(1.4, 0.6, 1.9, 1.1, 0.2), 6)
write_table(data.frame(joint), "whitened_draws.csv")
first <- 1:3
second <- 4:5
rank_p <- function(s) {
  all <- rbind(joint[, s], observed[s])
  d <- mahalanobis(all, colMeans(all), cov(all))
  mean(d >= d[length(d)])
}
write_table(data.frame(
  observed_log = observed, patient = c("a", "a", "a", "b", "b"),
  chi2 = rep(c(mahalanobis(observed[first], colMeans(joint[, first]), cov(joint[, first])),
               mahalanobis(observed[second], colMeans(joint[, second]), cov(joint[, second]))),
             c(3, 2)),
  p_value = rep(c(rank_p(first), rank_p(second)), c(3, 2))), "whitened_mahalanobis.csv")
writeLines(c(R.version.string, paste(c("coda", "bayesplot", "rstanarm"),
  sapply(c("coda", "bayesplot", "rstanarm"), function(p) as.character(packageVersion(p))))),
  "versions.txt")
