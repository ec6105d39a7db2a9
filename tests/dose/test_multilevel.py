"""Draws of gaps and effects against the dense normal law of all values of a patient."""

from dataclasses import replace

import numpy as np
import pytest

from bayesdose.dose import multilevel
from bayesdose.dose.multilevel import Law, Layers

COPIES = 10_000


def covariance(rng: np.random.Generator, d: int, size: float) -> np.ndarray:
    root = rng.normal(size=(d, d))
    return size * (root @ root.T / d + 0.3 * np.eye(d))


def some_law(rng: np.random.Generator, n_v: int) -> Law:
    """Two tissues of two and one variables, ``n_v`` of the cycle, one of the patient."""
    return Law(
        rng.normal(size=4 + n_v),
        covariance(rng, 4 + n_v, 1.0),
        covariance(rng, 3 + n_v, 0.4),
        (covariance(rng, 2, 0.5), covariance(rng, 1, 0.5)),
        (covariance(rng, 2, 0.6), covariance(rng, 1, 0.6)),
    )


def dense(layers: Layers, law: Law) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of all values: rows by tissue, then units, then the patient."""
    n_a = 3 + layers.of_unit.shape[1]
    # place among the effects, patient-cycle (-1: none), tissue and site, tissue and row
    at: list[tuple] = []
    for k, block in enumerate(layers.blocks):
        for j, (u, s) in enumerate(zip(layers.unit[k], layers.site[k], strict=True)):
            at += [(q, u, (k, s), (k, j)) for q in range(block.start, block.stop)]
    for u in range(len(layers.of_unit)):
        at += [(q, u, None, None) for q in range(3, n_a)]
    at.append((n_a, -1, None, None))
    mean = np.array([law.mean[q] for q, *_ in at])
    return mean, np.array([[shared(layers, law, one, other) for other in at] for one in at])


def shared(layers: Layers, law: Law, one: tuple, other: tuple) -> float:
    (q, u, site, row), (q2, u2, site2, row2) = one, other
    out = law.between[q, q2]
    if layers.repeated_cycles and u == u2 >= 0:
        out += law.cycles[q, q2]
    if site is not None and site == site2:
        k = site[0]
        first = layers.blocks[k].start
        if layers.repeated_sites[k]:
            out += law.sites[k][q - first, q2 - first]
        if row == row2:
            out += law.within[k][q - first, q2 - first]
    return out


def copied(layers: Layers, n: int) -> Layers:
    """The one patient many times, as different patients."""
    n_u = len(layers.of_unit)
    sites = [site.max() + 1 for site in layers.site]
    step = np.arange(n)[:, None]
    return Layers(
        tuple(np.tile(block, (n, 1)) for block in layers.rows),
        tuple((unit + n_u * step).ravel() for unit in layers.unit),
        tuple((s + m * step).ravel() for s, m in zip(layers.site, sites, strict=True)),
        np.repeat(np.arange(n), n_u),
        np.tile(layers.of_unit, (n, 1)),
        np.tile(layers.of_patient, (n, 1)),
        layers.repeated_cycles,
        layers.repeated_sites,
    )


def one_cycle() -> Layers:
    nan = np.nan
    return Layers(
        (np.array([[0.3, nan], [nan, nan], [1.2, -0.4]]), np.array([[nan], [0.9]])),
        (np.zeros(3, int), np.zeros(2, int)),
        (np.arange(3), np.arange(2)),
        np.zeros(1, int),
        np.zeros((1, 0)),
        np.array([[nan]]),
        False,
        (False, False),
    )


def two_cycles() -> Layers:
    nan = np.nan
    return Layers(
        (
            np.array([[0.3, nan], [nan, 0.5], [1.2, -0.4], [nan, nan]]),
            np.array([[nan], [0.9]]),
        ),
        (np.array([0, 0, 1, 1]), np.array([0, 1])),
        (np.array([0, 1, 0, 1]), np.array([0, 0])),
        np.zeros(2, int),
        np.array([[0.7], [nan]]),
        np.array([[-1.1]]),
        True,
        (True, True),
    )


@pytest.mark.parametrize(("layers", "sweeps"), [(one_cycle(), 1), (two_cycles(), 40)])
def test_gaps_given_what_is_known(layers: Layers, sweeps: int) -> None:
    rng = np.random.default_rng(5)
    n_v = layers.of_unit.shape[1]
    law = some_law(rng, n_v)
    mean, cov = dense(layers, law)
    values = np.concatenate([*(r.ravel() for r in layers.rows), layers.of_unit.ravel(),
                             layers.of_patient.ravel()])  # fmt: skip
    gap, seen = np.isnan(values), ~np.isnan(values)
    gain = np.linalg.solve(cov[np.ix_(seen, seen)], cov[np.ix_(seen, gap)]).T
    expected = mean[gap] + gain @ (values - mean)[seen]
    spread = cov[np.ix_(gap, gap)] - gain @ cov[np.ix_(seen, gap)]
    many = copied(layers, COPIES)
    state, _ = multilevel.start(many)
    for _ in range(sweeps):
        state = multilevel.draw_effects(many, state, law, rng)
    drawn = np.concatenate(
        [
            *(rows.reshape(COPIES, -1) for rows in state.rows),
            state.a[:, 3:].reshape(COPIES, -1),
            state.b[:, 3 + n_v :].reshape(COPIES, -1),
        ],
        axis=1,
    )
    np.testing.assert_allclose(drawn[:, seen], np.tile(values[seen], (COPIES, 1)), atol=1e-12)
    found = drawn[:, gap]
    sd = np.sqrt(np.diag(spread))
    assert (np.abs(found.mean(0) - expected) < 4.5 * sd / np.sqrt(COPIES)).all()
    error = np.sqrt((np.outer(sd, sd) ** 2 + spread**2) / COPIES)
    assert (np.abs(np.cov(found.T) - spread) < 4.5 * error).all()


def test_parameters_are_learnt() -> None:
    """600 patients of the same shape; a fifth of the values is missing."""
    rng = np.random.default_rng(2)
    law = some_law(rng, 1)
    one = two_cycles()
    mean, cov = dense(one, law)
    values = rng.multivariate_normal(mean, cov, size=600)
    values[rng.random(values.shape) < 0.2] = np.nan
    layers = replace(
        copied(one, 600),
        rows=(values[:, :8].reshape(-1, 2), values[:, 8:10].reshape(-1, 1)),
        of_unit=values[:, 10:12].reshape(-1, 1),
        of_patient=values[:, 12:],
    )
    state, now = multilevel.start(layers)
    kept = []
    for sweep in range(600):
        state = multilevel.draw_effects(layers, state, now, rng)
        now = multilevel.draw_law(layers, state, now, rng)
        if sweep >= 200:
            kept.append(now)
    for name in ("mean", "between", "cycles"):
        draws = np.array([getattr(one, name) for one in kept])
        z = (draws.mean(0) - getattr(law, name)) / draws.std(0)
        assert np.abs(z).max() < 4, name
    for name in ("sites", "within"):
        for k in range(2):
            draws = np.array([getattr(one, name)[k] for one in kept])
            z = (draws.mean(0) - getattr(law, name)[k]) / draws.std(0)
            assert np.abs(z).max() < 4, (name, k)
