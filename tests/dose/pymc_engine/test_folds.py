"""Refitting folds with a sampler that is made up: no MCMC."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import special

from bayesdose.dose import design
from bayesdose.dose.posterior import Draws
from bayesdose.dose.pymc_engine import folds, marginal
from bayesdose.dose.pymc_engine.convergence import log_mean_exp, worst_rhat
from bayesdose.dose.pymc_engine.folds import FoldTask, refit
from bayesdose.dose.spec import ModelSpec
from bayesdose.errors import ConfigError

FORMULA = {"tumour": "uptake + volume", "kidney": "uptake"}


def made_up_draws(encoding, size: int, seed: int) -> Draws:
    rng = np.random.default_rng(seed)
    q, k = len(encoding.patient_effects), len(encoding.tissues)
    diverging = np.zeros((4, size // 4), bool)
    diverging[1, :2] = True
    return Draws(
        beta=rng.normal(size=(size, encoding.n_coefficients)),
        residual_sd=rng.uniform(0.4, 0.6, (size, k)),
        patient_sd=rng.uniform(0.2, 0.6, (size, q)),
        patient_corr=np.broadcast_to(np.eye(q), (size, q, q)).copy(),
        cycle_sd=np.zeros((size, k)),
        site_sd=np.zeros((size, k)),
        group_sd=np.zeros((size, 0)),
        patient_effect=None,
        precision=None,
        shift=None,
        log_posterior=np.zeros(size),
        sample_stats={"diverging": diverging},
    )


@pytest.fixture
def tasks(sites) -> list[FoldTask]:
    once = sites[sites.cycle == 1].reset_index(drop=True)
    out = []
    for patient in once.patient_id.unique():
        held = once.patient_id == patient
        encoding, rows = design.learn(
            once[~held].reset_index(drop=True), ModelSpec(FORMULA, engine="pymc")
        )
        out.append(FoldTask(patient, encoding, rows, encoding.rows(once[held])))
    return out


@pytest.fixture
def seeds(monkeypatch) -> list[int]:
    """Seeds that the made-up sampler was called with."""
    seen: list[int] = []

    def fake(encoding, rows, *, draws, random_seed, sampler, progress, cores):
        seen.append(random_seed)
        return SimpleNamespace(draws=made_up_draws(encoding, draws, random_seed))

    monkeypatch.setattr(folds, "sample", fake)
    return seen


def test_elpd_is_the_log_mean_of_the_joint_density(tasks, seeds):
    found = refit(tasks, draws=400, random_seed=1, progress=False)
    assert [result.label for result in found] == [task.label for task in tasks]
    for task, result in zip(tasks, found, strict=True):
        by_draw = marginal.log_density(task.encoding, result.draws, task.held_out)[:, 0]
        assert result.elpd == pytest.approx(special.logsumexp(by_draw) - np.log(400))
        assert result.error is None
        assert result.diverging == 2
        assert result.mcse > 0


def test_every_fold_has_a_stream_of_its_own(tasks, seeds):
    first = refit(tasks, draws=400, random_seed=1, progress=False)
    again = refit(tasks, draws=400, random_seed=1, progress=False)
    other = refit(tasks, draws=400, random_seed=2, progress=False)
    assert len(set(seeds)) == 2 * len(tasks)
    assert [r.elpd for r in first] == [r.elpd for r in again]
    assert [r.elpd for r in first] != [r.elpd for r in other]


def test_a_failed_fold_is_recorded_and_the_others_go_on(tasks, monkeypatch, seeds, caplog):
    fake = folds.sample

    def fails_once(encoding, rows, **settings):
        if "P1" not in rows.patients:
            raise FloatingPointError("no gradient")
        return fake(encoding, rows, **settings)

    monkeypatch.setattr(folds, "sample", fails_once)
    with caplog.at_level(logging.INFO, logger="bayesdose"):
        found = {r.label: r for r in refit(tasks, draws=400, random_seed=1, progress=False)}
    assert found["P1"].error == "FloatingPointError: no gradient"
    assert np.isnan(found["P1"].elpd)
    assert found["P1"].draws is None
    assert all(found[p].error is None for p in ("P0", "P2", "P3"))
    assert "fold 2 of 4, without P1: FloatingPointError: no gradient" in caplog.text
    assert "fold 4 of 4, without P3: elpd" in caplog.text


def test_ctrl_c_keeps_what_is_done(tasks, monkeypatch, seeds, caplog):
    fake = folds.sample

    def interrupted(encoding, rows, **settings):
        if "P2" not in rows.patients:
            raise KeyboardInterrupt
        return fake(encoding, rows, **settings)

    monkeypatch.setattr(folds, "sample", interrupted)
    found = refit(tasks, draws=400, random_seed=1, progress=False)
    assert [r.error is None for r in found] == [True, True, False, False]
    assert found[2].error == found[3].error == "interrupted before it was done"
    assert "2 of 4 folds are done and kept" in caplog.text


def test_an_interrupt_before_the_first_fold_is_done(tasks, monkeypatch):
    def interrupted(encoding, rows, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(folds, "sample", interrupted)
    with pytest.raises(KeyboardInterrupt):
        refit(tasks, draws=400, random_seed=1, progress=False)


def test_unknown_sampler_is_refused(tasks):
    with pytest.raises(ConfigError, match="nutpie, pymc, numpyro"):
        refit(tasks, draws=400, random_seed=1, sampler="stan")


def test_error_of_a_log_mean_matches_repetition():
    rng = np.random.default_rng(0)
    values = [log_mean_exp(rng.normal(size=1000), 4) for _ in range(400)]
    means, errors = np.array(values).T
    assert np.mean(errors) == pytest.approx(means.std(), rel=0.15)
    assert means.mean() == pytest.approx(0.5, abs=0.02)


def test_worst_rhat_sees_one_chain_apart(tasks):
    draws = made_up_draws(tasks[0].encoding, 400, 0)
    assert worst_rhat(draws) < 1.05
    draws.residual_sd[:100, 1] += 1.0
    assert worst_rhat(draws) > 1.3
