# Posteriors by brms (Stan's NUTS) with priors stated in full, on the log-dose scale of the
# dose model: response Gaussian, design written out (0 + Intercept + ...) so that brms neither
# centres the columns nor puts its prior on a centred intercept.
#
# Usage: Rscript fit_brms.R CASE [TABLE]
#   CASE   sleepstudy_random_intercept | sleepstudy_random_slope | reference_cohort_tumours
#   TABLE  for reference_cohort_tumours: CSV with columns patient, y, x1, x2
#          (made by ../quadrature/reference_cohort.py --export TABLE)
# Writes CASE.json beside this file. Set BOOST_INCLUDE (on Debian /usr/include) where R's BH
# package has no headers of its own.
suppressPackageStartupMessages({
  library(brms)
  library(bridgesampling)
  library(posterior)
  library(jsonlite)
})

if (nzchar(Sys.getenv("BOOST_INCLUDE"))) {
  rstan::rstan_options(boost_lib = Sys.getenv("BOOST_INCLUDE"))
}

here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)))
args <- commandArgs(TRUE)
case <- args[1]
seed <- 20240601
chains <- 4
warmup <- 2000
adapt_delta <- 0.99

# sd and sigma are bounded below by zero, so normal(0, s) is half-normal with scale s;
# brms adds the normalising constant of the truncation, which the evidence needs.
cases <- list(
  sleepstudy_random_intercept = list(
    data = function() transform(lme4::sleepstudy, y = Reaction),
    formula = y ~ 0 + Intercept + Days + (1 | Subject),
    prior = c(prior(normal(0, 500), class = "b"),
              prior(normal(0, 100), class = "sd"),
              prior(normal(0, 100), class = "sigma")),
    draws_per_chain = 20000
  ),
  sleepstudy_random_slope = list(
    data = function() transform(lme4::sleepstudy, y = Reaction / 100),
    formula = y ~ 0 + Intercept + Days + (1 + Days | Subject),
    prior = c(prior(normal(2.5, 1), class = "b", coef = "Intercept"),
              prior(normal(0, 0.5), class = "b", coef = "Days"),
              prior(normal(0, 0.5), class = "sd"),
              prior(lkj(2), class = "cor"),
              prior(normal(0, 0.5), class = "sigma")),
    draws_per_chain = 20000
  ),
  reference_cohort_tumours = list(
    data = function() read.csv(args[2]),
    formula = y ~ 0 + Intercept + x1 + x2 + (1 | patient),
    prior = c(prior(normal(1.2, 0.9), class = "b", coef = "Intercept"),
              prior(normal(0, 0.5), class = "b"),
              prior(normal(0, 0.5), class = "sd"),
              prior(normal(0, 0.8), class = "sigma")),
    draws_per_chain = 20000
  )
)

chosen <- cases[[case]]
started <- Sys.time()
fit <- brm(
  chosen$formula, data = chosen$data(), family = gaussian(), prior = chosen$prior,
  save_pars = save_pars(all = TRUE), chains = chains, cores = 1, seed = seed,
  warmup = warmup, iter = warmup + chosen$draws_per_chain,
  control = list(adapt_delta = adapt_delta), refresh = 0
)

draws <- as_draws_array(fit)
names_kept <- grep("^(b_|sd_|cor_|sigma|r_)", variables(draws), value = TRUE)
probabilities <- c(0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975)
describe <- function(name) {
  x <- extract_variable_matrix(draws, name)
  list(
    mean = mean(x), sd = sd(as.vector(x)),
    mcse_mean = unname(mcse_mean(x)), mcse_sd = unname(mcse_sd(x)),
    quantiles = as.list(setNames(as.numeric(quantile(x, probabilities)), probabilities)),
    mcse_quantiles = as.list(setNames(as.numeric(mcse_quantile(x, probabilities)), probabilities)),
    ess_bulk = unname(ess_bulk(x)), ess_tail = unname(ess_tail(x)), rhat = unname(rhat(x))
  )
}

# Warp-III bridge, repeated; the spread shows the error from its proposal draws, not all of it.
set.seed(seed)
bridge <- bridge_sampler(fit, method = "warp3", repetitions = 4, silent = TRUE)

out <- list(
  case = case,
  formula = deparse1(chosen$formula),
  priors = apply(as.data.frame(chosen$prior)[, c("prior", "class", "coef")], 1, as.list),
  sampling = list(chains = chains, warmup = warmup, draws_per_chain = chosen$draws_per_chain,
                  seed = seed, adapt_delta = adapt_delta,
                  divergences = sum(subset(nuts_params(fit), Parameter == "divergent__")$Value)),
  made_with = list(R = R.version.string, brms = as.character(packageVersion("brms")),
                   rstan = as.character(packageVersion("rstan")),
                   bridgesampling = as.character(packageVersion("bridgesampling"))),
  log_evidence = list(median = median(bridge$logml), min = min(bridge$logml),
                      max = max(bridge$logml), repetitions = bridge$logml),
  parameters = sapply(names_kept, describe, simplify = FALSE)
)
write_json(out, file.path(here, paste0(case, ".json")), digits = 10, auto_unbox = TRUE, pretty = TRUE)
message(case, " took ", format(Sys.time() - started))
