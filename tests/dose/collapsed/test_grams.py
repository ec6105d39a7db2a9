"""Gram matrices of the patients against dense inverses written from the model's definition."""

import jax
import numpy as np
import pandas as pd
import pytest

from bayesdose.dose import design
from bayesdose.dose.collapsed.engine import double_precision, find_device
from bayesdose.dose.collapsed.grams import RowWise, Sums, grams, statistics
from bayesdose.dose.collapsed.hyper import Hyper
from bayesdose.dose.conditional import patient_gram
from bayesdose.dose.posterior import Draws
from bayesdose.dose.spec import ModelSpec

TOLERANCE = 1e-8
LAYOUTS = {
    "plain": {},
    "no patient effects": {"patient_effects": "0"},
    "own error": {"dose_cv": "cv"},
    "shared error": {"dose_cv_shared": "cv_shared"},
    "both errors": {"dose_cv": "cv", "dose_cv_shared": "cv_shared"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n_cycles", [1, 2])
def test_equal_to_dense_inverses(sites, layout, n_cycles):
    encoding, rows = design.learn(sites(n_cycles), ModelSpec("x", **LAYOUTS[layout]))
    assert encoding.site_effect == encoding.cycle_effect == (n_cycles > 1,) * 2
    draws = random_draws(encoding, 3)
    found = both_ways(encoding, rows, draws)
    for s in range(len(draws)):
        for i in range(len(rows.patients)):
            mine = rows.take(rows.patient == i)
            covariance = dense_covariance(mine, draws, s)
            sides = np.column_stack([mine.x, mine.y])
            expected = sides.T @ np.linalg.solve(covariance, sides)
            log_det = np.linalg.slogdet(covariance)[1]
            for gram, det in found:
                assert gram[s, i] == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)
                assert det[s, i] == pytest.approx(log_det, abs=TOLERANCE)


def test_rows_of_one_variance_are_summed_once(sites):
    frame = sites(2)
    for column, kind in ((None, Sums), ("cv", RowWise)):
        encoding, rows = design.learn(frame, ModelSpec("x", dose_cv=column))
        made = statistics(rows, encoding.cycle_effect, encoding.site_effect)
        assert isinstance(made, kind)


def test_the_two_kinds_of_statistics_agree(sites):
    """One patient's relative error of 1e-8 forces the rows to be kept apart."""
    frame = sites(2)
    found = []
    for frame_ in (frame.assign(cv=0.0), frame.assign(cv=np.arange(len(frame)) * 1e-10)):
        encoding, rows = design.learn(frame_, ModelSpec("x", dose_cv="cv"))
        found.append(both_ways(encoding, rows, random_draws(encoding, 1))[0])
    assert found[0][0] == pytest.approx(found[1][0], rel=TOLERANCE)
    assert found[0][1] == pytest.approx(found[1][1], rel=TOLERANCE)


def test_standard_deviations_of_zero_need_no_inverse(sites):
    encoding, rows = design.learn(sites(2), ModelSpec("x"))
    draws = random_draws(encoding, 1)
    nothing = {
        name: np.zeros_like(getattr(draws, name)) for name in ("patient_sd", "cycle_sd", "site_sd")
    }
    draws = Draws(**{**vars(draws), **nothing})
    for gram, det in both_ways(encoding, rows, draws):
        for i in range(len(rows.patients)):
            mine = rows.take(rows.patient == i)
            weight = 1 / draws.residual_sd[0][mine.tissue] ** 2
            sides = np.column_stack([mine.x, mine.y])
            assert gram[0, i] == pytest.approx((sides.T * weight) @ sides, rel=TOLERANCE)
            assert det[0, i] == pytest.approx(-np.log(weight).sum(), abs=TOLERANCE)


def test_a_new_group_level_adds_its_variance(sites):
    """A centre that the training table did not have: psi² between the patient's rows."""
    frame = sites(1)
    frame["centre"] = frame["patient_id"].map(dict(zip(["P0", "P1", "P2"], "AAB", strict=True)))
    encoding, _ = design.learn(frame, ModelSpec("x", group_effects=("centre",)))
    new = encoding.rows(frame[frame["patient_id"] == "P0"].assign(centre="C"))
    draws = random_draws(encoding, 2)
    gram, det = patient_gram(encoding, draws, new)
    for s in range(2):
        covariance = dense_covariance(new, draws, s)
        covariance += draws.group_sd[s, 0] ** 2 * (new.tissue[:, None] == new.tissue)
        sides = np.column_stack([new.x, new.y])
        assert gram[s] == pytest.approx(
            sides.T @ np.linalg.solve(covariance, sides), rel=TOLERANCE, abs=TOLERANCE
        )
        assert det[s] == pytest.approx(np.linalg.slogdet(covariance)[1], abs=TOLERANCE)


def both_ways(encoding, rows, draws):
    """(S, P, p + 1, p + 1) and (S, P): by the engine in JAX, by the predictions in NumPy."""
    with double_precision(find_device("cpu")):
        stats = jax.tree.map(
            jax.numpy.asarray, statistics(rows, encoding.cycle_effect, encoding.site_effect)
        )
        by_draw = [
            jax.tree.map(np.asarray, grams(hyper_of(draws, s), stats)) for s in range(len(draws))
        ]
    engine = tuple(np.stack([one[j] for one in by_draw]) for j in (0, 1))
    each = [
        patient_gram(encoding, draws, rows.take(rows.patient == i).compact())
        for i in range(len(rows.patients))
    ]
    return engine, tuple(np.stack([one[j] for one in each], axis=1) for j in (0, 1))


def dense_covariance(rows, draws, s):
    """Of log dose given β, entry by entry."""
    n = len(rows.tissue)
    z_cov = rows.z @ draws.patient_cov[s] @ rows.z.T
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            out[i, j] = z_cov[i, j]
            tissue = rows.tissue[i]
            same_cycle, same_site = rows.cycle[i] == rows.cycle[j], rows.site[i] == rows.site[j]
            if same_cycle and tissue == rows.tissue[j]:
                out[i, j] += draws.cycle_sd[s, tissue] ** 2
            if same_site:
                out[i, j] += draws.site_sd[s, tissue] ** 2
            if same_cycle:
                out[i, j] += np.sqrt(rows.shared_var[i] * rows.shared_var[j])
            if i == j:
                out[i, j] += draws.residual_sd[s, tissue] ** 2 + rows.own_var[i]
    return out


def hyper_of(draws, s) -> Hyper:
    p = draws.beta.shape[1]
    return Hyper(
        *(
            jax.numpy.asarray(value)
            for value in (
                draws.residual_sd[s],
                draws.patient_sd[s],
                np.linalg.cholesky(draws.patient_corr[s]),
                draws.cycle_sd[s],
                draws.site_sd[s],
                draws.group_sd[s],
                np.ones(p),
            )
        )
    )


def random_draws(encoding, n: int) -> Draws:
    rng = np.random.default_rng(0)
    k, p, q = len(encoding.tissues), encoding.n_coefficients, len(encoding.patient_effects)
    mix = rng.normal(size=(n, q, q + 2))
    covariance = mix @ mix.swapaxes(1, 2)
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    has_cycles, has_sites = np.array(encoding.cycle_effect), np.array(encoding.site_effect)
    return Draws(
        beta=rng.normal(size=(n, p)),
        residual_sd=rng.uniform(0.1, 1, (n, k)),
        patient_sd=rng.uniform(0.1, 1, (n, q)),
        patient_corr=covariance / sd[:, :, None] / sd[:, None, :],
        cycle_sd=rng.uniform(0.1, 0.5, (n, k)) * has_cycles,
        site_sd=rng.uniform(0.1, 0.5, (n, k)) * has_sites,
        group_sd=rng.uniform(0.1, 0.5, (n, len(encoding.group_levels))),
        patient_effect=None,
        precision=None,
        shift=None,
        log_posterior=np.zeros(n),
    )


@pytest.fixture(scope="module")
def sites():
    return random_sites


def random_sites(n_cycles: int) -> pd.DataFrame:
    """Three patients with unequal numbers of sites; some sites are not measured in every cycle."""
    rng = np.random.default_rng(n_cycles)
    rows = []
    for i in range(3):
        for cycle in range(1, n_cycles + 1):
            for tissue, n in (("tumour", 1 + i + (cycle == 1)), ("kidney", 2)):
                for j in range(n):
                    rows.append(
                        {
                            "patient_id": f"P{i}",
                            "site_id": f"{tissue}{j}",
                            "cycle": cycle,
                            "tissue": tissue,
                            "x": rng.normal(),
                            "cv": rng.uniform(0, 0.3),
                            "cv_shared": 0.05 + 0.02 * cycle,
                            "absorbed_dose_gy": np.exp(rng.normal(1, 0.7)),
                            "administered_activity_gbq": 7.4,
                        }
                    )
    return pd.DataFrame(rows)
