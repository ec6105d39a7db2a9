# Maximum likelihood of dose-response curves by R: Rscript glm.R > glm.json
# Tobacco budworms killed by cypermethrin, 20 a dose and sex (Collett 1991, from memory, as printed in Venables &
# Ripley, Modern Applied Statistics with S); one row an insect, both sexes together.
dose <- rep(2^(0:5), times = 2)
killed <- c(1, 4, 9, 13, 18, 20, 0, 2, 6, 10, 12, 16)
rows <- data.frame(dose = rep(dose, each = 20),
                   y = unlist(lapply(killed, function(k) rep(c(1, 0), c(k, 20 - k)))))
one <- function(link) {
  fit <- glm(y ~ log(dose), binomial(link), rows, control = list(epsilon = 1e-14))
  # dose at which one half die, on the log scale, by MASS
  d50 <- MASS::dose.p(fit, p = 0.5)
  numbers <- function(x) paste0("[", paste(sprintf("%.15g", x), collapse = ", "), "]")
  sprintf('"%s": {"coef": %s, "covariance": %s, "log_likelihood": %s, "log_d50": %s}', link,
          numbers(coef(fit)), numbers(vcov(fit)), numbers(logLik(fit)), numbers(d50))
}
cat(sprintf('{"dose": [%s], "killed": [%s], "n": 20,\n%s,\n"R": "%s", "MASS": "%s"}\n',
            paste(dose, collapse = ", "), paste(killed, collapse = ", "),
            paste(sapply(c("logit", "probit"), one), collapse = ",\n"),
            getRversion(), packageVersion("MASS")))
