# Cox models of real tables by R's survival::coxph: Rscript cox.R FOLDER > cox.json
# FOLDER holds survival_classics and byar_greene_prostate. Figures are written, no rows.
library(survival)
folder <- commandArgs(TRUE)[1]
control <- coxph.control(eps = 1e-13, iter.max = 100, toler.chol = 1e-14)
veteran <- read.csv(file.path(folder, "survival_classics", "veteran.csv"))
gbsg2 <- read.csv(file.path(folder, "survival_classics", "gbsg2.csv"))
lung <- read.csv(file.path(folder, "survival_classics", "lung.csv"))
lung <- lung[complete.cases(lung[, c("age", "sex", "ph.ecog", "wt.loss")]), ]
# follow-up cut at 60 and 180 days, with a covariate that changes there
cut_up <- survSplit(Surv(time, status) ~ ., veteran, cut = c(60, 180), episode = "part")
cut_up$karno_late <- cut_up$karno * (cut_up$part > 1)
cut_up$trt_late <- cut_up$trt * (cut_up$part > 2)
one <- function(name, formula, data, ties) {
  fit <- coxph(formula, data, ties = ties, control = control)
  sprintf('{"name": "%s", "ties": "%s", "coef": [%s], "se": [%s], "loglik": %.12f}', name, ties,
          paste(sprintf("%.15g", coef(fit)), collapse = ", "),
          paste(sprintf("%.15g", sqrt(diag(vcov(fit)))), collapse = ", "), fit$loglik[2])
}
rows <- c()
for (ties in c("efron", "breslow")) rows <- c(rows,
  one("veteran", Surv(time, status) ~ trt + karno + diagtime + age + prior, veteran, ties),
  one("veteran strata", Surv(time, status) ~ trt + karno + age + strata(celltype), veteran, ties),
  one("gbsg2", Surv(time, cens) ~ age + pnodes + tsize + log(progrec + 1) + log(estrec + 1), gbsg2, ties),
  one("lung strata", Surv(time, status) ~ age + ph.ecog + wt.loss + strata(sex), lung, ties),
  one("veteran counting", Surv(tstart, time, status) ~ trt + trt_late + karno + karno_late, cut_up, ties),
  one("veteran counting strata",
      Surv(tstart, time, status) ~ trt + karno + karno_late + strata(celltype), cut_up, ties))
cat("[\n", paste(rows, collapse = ",\n"), "\n]\n", sep = "")
