# Groups of real tables by R's survival: Rscript groups.R FOLDER > groups.json
# FOLDER holds survival_classics. Figures are written, no rows.
library(survival)
folder <- file.path(commandArgs(TRUE)[1], "survival_classics")
veteran <- read.csv(file.path(folder, "veteran.csv"))
gbsg2 <- read.csv(file.path(folder, "gbsg2.csv"))
lung <- read.csv(file.path(folder, "lung.csv"))
lung <- lung[complete.cases(lung[, c("inst", "ph.ecog")]) & lung$ph.ecog < 3, ]
tertile <- function(x) findInterval(x, quantile(x, c(1, 2) / 3))
numbers <- function(x) {
  text <- sprintf("%.15g", x)
  text[!is.finite(x)] <- "null"
  paste0("[", paste(text, collapse = ", "), "]")
}
field <- function(name, x) sprintf('"%s": %s', name, numbers(x))
# curve at some times; its whole length as sums, so that no event times of a table are written
curves <- function(name, time, event, by, cluster = NULL, tau, level) {
  data <- data.frame(time, event, by)
  if (is.null(cluster)) {
    fit <- survfit(Surv(time, event) ~ by, data, conf.type = "log-log", conf.int = level)
  } else {
    data$patient <- cluster
    fit <- survfit(Surv(time, event) ~ by, data, cluster = patient, robust = TRUE,
                   conf.type = "log-log", conf.int = level)
  }
  at <- summary(fit, times = c(1, 3, 5, 7, 9) * tau / 10, extend = TRUE)
  all <- summary(fit, censored = TRUE)
  inside <- all$surv > 0 & all$surv < 1
  rows <<- data  # where residuals() looks for it
  plain <- survfit(Surv(time, event) ~ by, rows)
  mean <- survival:::survmean(plain, rmean = tau)$matrix
  # infinitesimal jackknife of the restricted mean, a column a curve, summed by patient
  moved <- residuals(plain, times = tau, type = "rmst")
  moved <- sapply(sort(unique(by)), function(one) moved * (data$by == one))
  patient <- if (is.null(cluster)) seq_along(by) else cluster
  moved <- rowsum(moved, patient)
  away <- sqrt(colSums((moved[, -1, drop = FALSE] - moved[, 1])^2))
  medians <- quantile(fit, 0.5)
  sprintf('{"name": "%s", "tau": %.15g, "prob": %.15g,\n  %s}', name, tau, level, paste(
    field("time", at$time), field("n_at_risk", at$n.risk), field("survival", at$surv),
    field("se", at$std.err), field("lower", at$lower), field("upper", at$upper),
    field("n_times", length(all$time)), field("sum_survival", sum(all$surv)),
    field("sum_se", sum(all$std.err[inside])), field("sum_lower", sum(all$lower[inside])),
    field("sum_upper", sum(all$upper[inside])),
    field("median", medians$quantile), field("median_lower", medians$lower),
    field("median_upper", medians$upper),
    field("rmst", mean[, "rmean"]), field("rmst_se", mean[, "se(rmean)"]),
    field("rmst_patient_se", sqrt(colSums(moved^2))), field("difference_se", away), sep = ",\n  "))
}
ranks <- function(name, time, event, by, strata = NULL) {
  data <- data.frame(time, event, by)
  data$stratum <- if (is.null(strata)) 1 else strata
  fit <- survdiff(Surv(time, event) ~ by + strata(stratum), data)
  pooled <- function(x) if (is.matrix(x)) rowSums(x) else x
  observed <- pooled(fit$obs)
  expected <- pooled(fit$exp)
  scores <- sort(unique(by))
  trend <- NULL
  if (is.numeric(by)) {
    z <- sum(scores * (observed - expected)) / sqrt(drop(t(scores) %*% fit$var %*% scores))
    trend <- c(z^2, pchisq(z^2, 1, lower.tail = FALSE))
  }
  sprintf('{"name": "%s",\n  %s}', name, paste(
    field("statistic", fit$chisq), field("df", length(observed) - 1),
    field("p_value", pchisq(fit$chisq, length(observed) - 1, lower.tail = FALSE)),
    field("observed", observed), field("expected", expected),
    field("trend", trend), sep = ",\n  "))
}
cat('{"curves": [\n')
cat(paste(c(
  curves("veteran by celltype", veteran$time, veteran$status, veteran$celltype, NULL, 180, 0.95),
  curves("gbsg2 by tgrade", gbsg2$time, gbsg2$cens, gbsg2$tgrade, NULL, 1500, 0.9),
  curves("lung by sex", lung$time, lung$status, lung$sex, NULL, 600, 0.95),
  curves("lung by sex, patients", lung$time, lung$status, lung$sex, lung$inst, 600, 0.95),
  curves("gbsg2 by tertile of age, patients", gbsg2$time, gbsg2$cens, tertile(gbsg2$age),
         gbsg2$tsize, 1500, 0.95)), collapse = ",\n"))
cat('],\n"log_rank": [\n')
cat(paste(c(
  ranks("veteran by celltype", veteran$time, veteran$status, veteran$celltype),
  ranks("veteran by celltype, strata trt", veteran$time, veteran$status, veteran$celltype,
        veteran$trt),
  ranks("lung by ph.ecog", lung$time, lung$status, lung$ph.ecog),
  ranks("lung by ph.ecog, strata sex", lung$time, lung$status, lung$ph.ecog, lung$sex),
  ranks("gbsg2 by tertile of pnodes", gbsg2$time, gbsg2$cens, tertile(gbsg2$pnodes)),
  ranks("gbsg2 by tertile of pnodes, strata horTh", gbsg2$time, gbsg2$cens, tertile(gbsg2$pnodes),
        gbsg2$horTh)), collapse = ",\n"))
# without ties of times the score test of Cox's model is the log-rank test for trend
i <- 1:60
untied <- data.frame(time = (37 * i) %% 61, event = i %% 3 != 0, score = ((7 * i) %% 61) %% 4,
                     stratum = i %% 2)
score <- c(coxph(Surv(time, event) ~ score, untied)$score,
           coxph(Surv(time, event) ~ score + strata(stratum), untied)$score)
cat(sprintf('],\n%s,\n"versions": "R %s, survival %s"}\n', field("cox_score", score), getRversion(),
            packageVersion("survival")))
