"""Conditioning and predictive draws at fixed θ, to 1e-8 of the closed forms.

Every draw is a mean plus a matrix times independent normals. With `Basis` in place of the random
numbers the first draw is the mean and each further one adds a column of the matrix, so the mean
and covariance that the code draws from are found exactly, without Monte-Carlo error.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayesdose.dose.conditional import draw_beta, draw_latents, log_density, patient_gram
from bayesdose.dose.posterior import Draws
from bayesdose.dose.predict import Measured, log_dose_draws

TOLERANCE = 1e-8
CASES = ["one_tissue", "two_tissues"]
N_NORMALS = 120


class Basis:
    """Random numbers of which draw 0 gets none, and draw k only the k-th normal, equal to 1."""

    def __init__(self) -> None:
        self.used = 0

    def standard_normal(self, shape) -> np.ndarray:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        out = np.zeros((shape[0], int(np.prod(shape[1:]))))
        for k in range(out.shape[1]):
            self.used += 1
            out[self.used, k] = 1.0
        return out.reshape(shape)


def mean_and_covariance(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    loadings = values[1:] - values[0]
    return values[0], loadings.T @ loadings


@pytest.mark.parametrize("case", CASES)
def test_posterior_of_the_coefficients(posterior, case):
    known, draws, order = posterior(case)
    beta = draw_beta(draws.precision, draws.shift, Basis())
    mean, covariance = mean_and_covariance(beta[:, order])
    assert mean == pytest.approx(np.array(known.truth["beta"]["mean"]), abs=TOLERANCE)
    assert covariance == pytest.approx(np.array(known.truth["beta"]["covariance"]), abs=TOLERANCE)


@pytest.mark.parametrize("case", CASES)
def test_posterior_of_the_patient_effects(posterior, case):
    known, draws, order = posterior(case)
    for code, patient in enumerate(known.rows.patients):
        noise = Basis()
        beta = draw_beta(draws.precision, draws.shift, noise)
        rows = known.rows.take(known.rows.patient == code).compact()
        u = draw_latents(known.encoding, replace(draws, beta=beta), rows, noise).u
        both = np.concatenate([u[:, known.effects], beta[:, order]], axis=1)
        mean, covariance = mean_and_covariance(both)
        q, exact = len(known.effects), known.truth["u"][patient]
        assert mean[:q] == pytest.approx(np.array(exact["mean"]), abs=TOLERANCE)
        assert covariance[:q, :q] == pytest.approx(np.array(exact["covariance"]), abs=TOLERANCE)
        assert covariance[:q, q:] == pytest.approx(
            np.array(exact["covariance_with_beta"]), abs=TOLERANCE
        )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("target", ["true", "measured"])
def test_new_patient(posterior, case, target):
    known, draws, _ = posterior(case)
    table = known.tables["new_rows_new_patient"]
    mean, covariance = predicted(known, draws, table, {}, "new_patient", target)
    same(mean - log_activity(known, table), covariance, known.truth["new_patient"][target])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("target", ["true", "measured"])
def test_known_patient(posterior, case, target):
    """Conditional on the patient's training rows; sites and cycles are shared with them."""
    known, draws, _ = posterior(case)
    new, training = known.tables["new_rows_known_patient"], known.tables["rows"]
    own = training[training["patient_id"] == new["patient_id"].iloc[0]]
    mean, covariance = predicted(known, draws, new, {"old": own}, "known_patient", target)
    same(mean - log_activity(known, new), covariance, known.truth["known_patient"][target])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("target", ["true", "measured"])
def test_new_patient_given_rows(posterior, case, target):
    known, draws, _ = posterior(case)
    new, given = (known.tables[f"{n}_rows_new_patient"] for n in ("new", "given"))
    mean, covariance = predicted(known, draws, new, {"new": given}, "new_patient", target)
    same(mean - log_activity(known, new), covariance, known.truth["new_patient_given"][target])


@pytest.mark.parametrize("case", CASES)
def test_typical_patient_has_no_effects_of_its_own_but_later_ones(posterior, case):
    """u = 0: what is left is the new patient's covariance without z Σ z'."""
    known, draws, _ = posterior(case)
    table = known.tables["new_rows_new_patient"]
    mean, covariance = predicted(known, draws, table, {}, "typical_patient", "true")
    rows = known.encoding.rows(table)
    between = rows.z @ draws.patient_cov[0] @ rows.z.T
    exact = known.truth["new_patient"]["true"]
    assert mean - rows.log_activity == pytest.approx(np.array(exact["mean"]), abs=TOLERANCE)
    assert covariance + between == pytest.approx(np.array(exact["covariance"]), abs=TOLERANCE)


@pytest.mark.parametrize("case", CASES)
def test_density_of_given_rows(posterior, case):
    known, draws, _ = posterior(case)
    rows = known.encoding.rows(known.tables["given_rows_new_patient"])
    gram, log_det = patient_gram(known.encoding, draws, rows)
    found = log_density(draws.precision, draws.shift, gram, log_det, len(rows.tissue))
    assert found == pytest.approx(
        np.full(len(draws), known.truth["given_rows_log_density"]), abs=TOLERANCE
    )


@pytest.mark.parametrize("case", CASES)
def test_density_of_a_held_out_patient(posterior, case):
    known, _, _ = posterior(case)
    for code, patient in enumerate(known.rows.patients):
        draws = posterior(case, without=code)[1]
        rows = known.rows.take(known.rows.patient == code).compact()
        gram, log_det = patient_gram(known.encoding, draws, rows)
        found = log_density(draws.precision, draws.shift, gram, log_det, len(rows.tissue))
        exact = known.truth["leave_one_patient_out"][patient]["log_density"]
        assert found[0] == pytest.approx(exact, abs=TOLERANCE)


def test_patients_are_independent_given_the_coefficients(posterior):
    """Two new patients share β only; the sites of each share its effects."""
    known, draws, _ = posterior("one_tissue")
    one = known.tables["new_rows_new_patient"]
    table = pd.concat([one, one.assign(patient_id="p5")], ignore_index=True)
    _, covariance = predicted(known, draws, table, {}, "new_patient", "true")
    n = len(one)
    rows = known.encoding.rows(one)
    from_beta = rows.x @ np.linalg.inv(draws.precision[0]) @ rows.x.T
    exact = np.array(known.truth["new_patient"]["true"]["covariance"])
    assert covariance[:n, n:] == pytest.approx(from_beta, abs=TOLERANCE)
    assert covariance[:n, :n] == pytest.approx(exact, abs=TOLERANCE)
    assert covariance[n:, n:] == pytest.approx(exact, abs=TOLERANCE)


def predicted(known, draws, table, measured, kind, target):
    """Mean and covariance of log dose that the code draws from."""
    encoding, noise = known.encoding, Basis()
    frames = [table, *measured.values()]
    part = np.repeat(np.arange(len(frames)), [len(f) for f in frames])
    rows = encoding.rows(pd.concat(frames, ignore_index=True))
    conditioned = {}
    for is_new, seen in ((name == "new", rows.take(part == 1)) for name in measured):
        (label,) = {rows.patients[code] for code in seen.patient}
        one = replace(seen, patient=np.zeros(len(seen.patient), int), patients=(label,))
        conditioned[label] = Measured(one, np.full(len(seen.patient), is_new))
        if is_new:
            gram, _ = patient_gram(encoding, draws, one)
            p = draws.shift.shape[1]
            draws = replace(
                draws,
                precision=draws.precision + gram[:, :p, :p],
                shift=draws.shift + gram[:, :p, p],
            )
    draws = replace(draws, beta=draw_beta(draws.precision, draws.shift, noise))
    values = log_dose_draws(
        encoding,
        draws,
        rows.take(part == 0),
        kind=kind,
        target=target,
        measured=conditioned,
        rng=noise,
    )
    assert noise.used < N_NORMALS
    return mean_and_covariance(values)


def log_activity(known, table) -> np.ndarray:
    return known.encoding.rows(table).log_activity


def same(mean, covariance, exact) -> None:
    assert mean == pytest.approx(np.array(exact["mean"]), abs=TOLERANCE)
    assert covariance == pytest.approx(np.array(exact["covariance"]), abs=TOLERANCE)


@pytest.fixture(scope="module")
def posterior(closed_form):
    """A closed-form case with constant draws of its posterior, one patient left out if asked."""

    def build(case: str, without: int | None = None):
        known = closed_form(case)
        return known, constant_draws(known, without), known.order

    return build


def constant_draws(known, without: int | None) -> Draws:
    n, p, theta = N_NORMALS, known.encoding.n_coefficients, known.theta

    def repeated(value) -> np.ndarray:
        return np.broadcast_to(np.asarray(value), (n, *np.shape(value))).copy()

    draws = Draws(
        beta=np.zeros((n, p)),
        residual_sd=repeated(theta.residual_sd),
        patient_sd=repeated(theta.patient_sd),
        patient_corr=repeated(theta.patient_corr),
        cycle_sd=repeated(theta.cycle_sd),
        site_sd=repeated(theta.site_sd),
        group_sd=np.zeros((n, 0)),
        patient_effect=None,
        precision=None,
        shift=None,
        log_posterior=np.zeros(n),
    )
    prior_mean, prior_sd = coefficient_prior(known)
    precision = repeated(np.diag(prior_sd**-2.0))
    shift = repeated(prior_mean / prior_sd**2)
    for code in range(len(known.rows.patients)):
        if code != without:
            rows = known.rows.take(known.rows.patient == code).compact()
            gram, _ = patient_gram(known.encoding, draws, rows)
            precision, shift = precision + gram[:, :p, :p], shift + gram[:, :p, p]
    return replace(draws, precision=precision, shift=shift)


def coefficient_prior(known) -> tuple[np.ndarray, np.ndarray]:
    spec, encoding = known.spec, known.encoding
    priors = [
        spec.priors.resolve("intercept" if name == "Intercept" else "slope", tissue)
        for k, tissue in enumerate(encoding.tissues)
        for name in encoding.columns(k)
    ]
    return np.array([p.mu for p in priors]), np.array([p.sigma for p in priors])
