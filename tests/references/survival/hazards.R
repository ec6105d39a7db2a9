# Proportional hazards tests and predicted survival of Cox models of real tables, by R's
# survival::cox.zph and survfit: Rscript hazards.R FOLDER > hazards.json
# FOLDER holds survival_classics. Figures are written, no rows: survival is for stated covariates.
library(survival)
folder <- commandArgs(TRUE)[1]
control <- coxph.control(eps = 1e-13, iter.max = 100, toler.chol = 1e-14)
veteran <- read.csv(file.path(folder, "survival_classics", "veteran.csv"))
gbsg2 <- read.csv(file.path(folder, "survival_classics", "gbsg2.csv"))
lung <- read.csv(file.path(folder, "survival_classics", "lung.csv"))
lung <- lung[complete.cases(lung[, c("age", "sex", "ph.ecog", "wt.loss")]), ]
cut_up <- survSplit(Surv(time, status) ~ ., veteran, cut = c(60, 180), episode = "part")
cut_up$karno_late <- cut_up$karno * (cut_up$part > 1)
cut_up$trt_late <- cut_up$trt * (cut_up$part > 2)
list_of <- function(x) paste(sprintf("%.15g", x), collapse = ", ")
one <- function(name, formula, data, ties, rows = NULL, times = NULL, strata = NULL) {
  fit <- do.call(coxph, list(formula, data = data, ties = ties, control = control))
  zph <- cox.zph(fit, transform = "km", terms = FALSE)
  out <- sprintf('"name": "%s", "ties": "%s", "chi2": [%s]', name, ties, list_of(zph$table[, 1]))
  if (!is.null(rows)) {
    found <- summary(survfit(fit, newdata = rows), times = times)
    out <- paste0(out, sprintf(', "times": [%s], "rows": [%s], "survival": [%s]', list_of(times),
      paste(apply(rows[, names(coef(fit)), drop = FALSE], 1, function(r) sprintf("[%s]", list_of(r))),
            collapse = ", "),
      paste(apply(as.matrix(found$surv), 2, function(s) sprintf("[%s]", list_of(s))), collapse = ", ")))
  }
  paste0("{", out, "}")
}
men <- data.frame(trt = c(1, 2), karno = c(80, 40), diagtime = c(3, 20), age = c(60, 45), prior = c(0, 10))
inside <- data.frame(trt = c(1, 2), karno = c(80, 40), age = c(60, 45), celltype = c("large", "large"))
rows <- c()
for (ties in c("efron", "breslow")) rows <- c(rows,
  one("veteran", Surv(time, status) ~ trt + karno + diagtime + age + prior, veteran, ties,
      men, c(5, 30, 90, 150, 400)),
  one("veteran strata", Surv(time, status) ~ trt + karno + age + strata(celltype), veteran, ties,
      inside, c(20, 100, 200)),
  one("gbsg2", Surv(time, cens) ~ age + pnodes + tsize + log(progrec + 1) + log(estrec + 1), gbsg2, ties),
  one("lung strata", Surv(time, status) ~ age + ph.ecog + wt.loss + strata(sex), lung, ties),
  one("veteran counting", Surv(tstart, time, status) ~ trt + trt_late + karno + karno_late, cut_up, ties),
  one("veteran counting strata",
      Surv(tstart, time, status) ~ trt + karno + karno_late + strata(celltype), cut_up, ties))
cat("[\n", paste(rows, collapse = ",\n"), "\n]\n", sep = "")
