# Linear mixed models on the data that ship with lme4, by REML and by maximum likelihood.
# Usage: Rscript fit_lme4.R            (writes lme4.json beside this file)
library(lme4)
library(jsonlite)

here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)))

models <- list(
  sleepstudy_random_intercept = list(data = sleepstudy, formula = Reaction ~ Days + (1 | Subject)),
  sleepstudy_random_slope = list(data = sleepstudy, formula = Reaction ~ Days + (1 + Days | Subject)),
  sleepstudy_random_slope_uncorrelated =
    list(data = sleepstudy, formula = Reaction ~ Days + (1 + Days || Subject)),
  dyestuff = list(data = Dyestuff, formula = Yield ~ 1 + (1 | Batch)),
  pastes_nested = list(data = Pastes, formula = strength ~ 1 + (1 | batch) + (1 | batch:cask)),
  penicillin_crossed = list(data = Penicillin, formula = diameter ~ 1 + (1 | plate) + (1 | sample))
)

# Tighter than lme4's default stopping rule.
control <- lmerControl(optimizer = "bobyqa",
                       optCtrl = list(maxfun = 1e6, rhobeg = 0.2, rhoend = 1e-10))

as_named_list <- function(x) as.list(setNames(as.numeric(x), names(x)))

describe <- function(model, reml) {
  fit <- lmer(model$formula, model$data, REML = reml, control = control)
  components <- as.data.frame(VarCorr(fit))
  effects <- ranef(fit, condVar = TRUE)
  list(
    formula = deparse1(model$formula),
    method = if (reml) "REML" else "ML",
    n_rows = nrow(model$data),
    fixed = as_named_list(fixef(fit)),
    fixed_se = as_named_list(sqrt(diag(as.matrix(vcov(fit))))),
    fixed_covariance = unname(as.matrix(vcov(fit))),
    variance_components = components,   # sdcor: sd, or correlation where var2 is given
    residual_sd = sigma(fit),
    log_lik = as.numeric(logLik(fit)),  # of the restricted likelihood under REML
    conditional_modes = lapply(effects, function(e) {
      list(groups = rownames(e), terms = I(colnames(e)), modes = unname(as.matrix(e)))
    })
  )
}

fits <- lapply(models, function(model) {
  list(reml = describe(model, TRUE), ml = describe(model, FALSE))
})

out <- list(
  made_with = list(R = R.version.string, lme4 = as.character(packageVersion("lme4"))),
  fits = fits
)
write_json(out, file.path(here, "lme4.json"), digits = 12, auto_unbox = TRUE, pretty = TRUE)
