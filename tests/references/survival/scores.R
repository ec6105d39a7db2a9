# Concordance and calibration of real tables by R: Rscript scores.R FOLDER > scores.json
# FOLDER holds survival_classics. Figures are written, no rows.
library(survival)
library(splines)
folder <- file.path(commandArgs(TRUE)[1], "survival_classics")
veteran <- read.csv(file.path(folder, "veteran.csv"))
gbsg2 <- read.csv(file.path(folder, "gbsg2.csv"))
lung <- read.csv(file.path(folder, "lung.csv"))
lung <- lung[complete.cases(lung[, c("inst", "age")]), ]
numbers <- function(x) paste0("[", paste(sprintf("%.15g", x), collapse = ", "), "]")
entry <- function(name, ...) {
  fields <- list(...)
  sprintf('{"name": "%s", %s}', name,
          paste(sprintf('"%s": %s', names(fields), sapply(fields, numbers)), collapse = ", "))
}

# Harrell's (n) and Uno's (n/G2) C, truncated between times of events, rows and clusters
one_c <- function(name, time, status, risk, cluster, ymax) {
  fit <- function(...) concordance(Surv(time, status) ~ risk, reverse = TRUE, ...)
  plain <- fit(); grouped <- fit(cluster = cluster)
  uno <- fit(timewt = "n/G2"); cut <- fit(timewt = "n/G2", ymax = ymax)
  uno_grouped <- fit(timewt = "n/G2", ymax = ymax, cluster = cluster)
  entry(name, harrell = plain$concordance, harrell_se = sqrt(plain$var),
        harrell_se_cluster = sqrt(grouped$var), counts = plain$count, tau = ymax,
        uno = uno$concordance, uno_se = sqrt(uno$var), uno_tau = cut$concordance,
        uno_tau_se = sqrt(cut$var), uno_tau_se_cluster = sqrt(uno_grouped$var))
}
rows <- c(
  one_c("lung", lung$time, lung$status, lung$age, lung$inst, 600.5),
  one_c("veteran", veteran$time, veteran$status, -veteran$karno, veteran$age, 300.5),
  one_c("gbsg2", gbsg2$time, gbsg2$cens, gbsg2$pnodes, gbsg2$age, 1800.5))

# sandwich over clusters, without small-sample factor
sandwich <- function(fit, cluster) {
  score <- model.matrix(fit) * (fit$y - fitted(fit))
  influence <- score %*% vcov(fit)
  sqrt(diag(crossprod(rowsum(influence, cluster))))
}
bent <- function(x) {
  knots <- quantile(x, c(0.1, 0.5, 0.9))
  function(at) ns(at, knots = knots[2], Boundary.knots = knots[c(1, 3)])
}
tight <- glm.control(epsilon = 1e-14, maxit = 100)
x <- -0.8 + 0.08 * gbsg2$pnodes
y <- gbsg2$cens
line <- glm(y ~ x, binomial, control = tight)
level <- glm(y ~ offset(x), binomial, control = tight)
basis <- bent(x)
b <- basis(x)
smooth <- glm(y ~ b, binomial, control = tight)
distance <- abs(fitted(smooth) - plogis(x))
rows <- c(rows, entry("glm", slope = coef(line)[2], slope_se = sandwich(line, seq_along(y))[2],
  slope_se_cluster = sandwich(line, gbsg2$age)[2], intercept = coef(level)[1],
  intercept_se = sandwich(level, seq_along(y))[1], ici = mean(distance), e50 = median(distance),
  e90 = quantile(distance, 0.9)))

# the derivatives by case weights are differences
horizon <- 365
stop <- pmin(lung$time, horizon)
died <- lung$status * (lung$time <= horizon)
x <- 0.2 + 0.04 * (lung$age - 62)
basis <- bent(x)
b <- basis(x)
control <- coxph.control(eps = 1e-13, iter.max = 100, toler.chol = 1e-14)
at <- basis(c(-0.5, 0.2, 0.7))
measures <- function(w) {
  line <- coxph(Surv(stop, died) ~ x, weights = w, control = control)
  smooth <- coxph(Surv(stop, died) ~ b, weights = w, control = control)
  zero <- basehaz(smooth, centered = FALSE)
  height <- log(max(zero$hazard)) + as.vector(at %*% coef(smooth))
  c(coef(line), height)
}
n <- length(x)
w <- rep(1, n)
influence <- t(sapply(seq_len(n), function(i) {
  step <- replace(numeric(n), i, 1e-3)
  (measures(w + step) - measures(w - step)) / 2e-3
}))
value <- measures(w)
robust <- coxph(Surv(stop, died) ~ x, robust = TRUE, control = control)
clustered <- coxph(Surv(stop, died) ~ x, cluster = lung$inst, control = control)
smooth <- coxph(Surv(stop, died) ~ b, control = control)
height <- log(max(basehaz(smooth, centered = FALSE)$hazard)) + as.vector(b %*% coef(smooth))
distance <- abs(1 - exp(-exp(height)) - (1 - exp(-exp(x))))
km <- survfit(Surv(stop, died) ~ 1)
rows <- c(rows, entry("cox", horizon = horizon, slope = coef(robust),
  slope_se = sqrt(diag(vcov(robust))), slope_se_cluster = sqrt(diag(vcov(clustered))),
  observed = 1 - min(km$surv), points = 1 - exp(-exp(c(-0.5, 0.2, 0.7))), log_hazard = value[-1],
  log_hazard_se = sqrt(colSums(influence[, -1]^2)), slope_se_weights = sqrt(sum(influence[, 1]^2)),
  ici = mean(distance), e50 = median(distance), e90 = quantile(distance, 0.9)))
cat("[\n", paste(rows, collapse = ",\n"), "\n]\n", sep = "")
