import os

import numpy as np
import pytest
import xarray as xr

from bayesdose.dose import design
from bayesdose.dose.pymc_engine import sampling
from bayesdose.dose.spec import ModelSpec
from bayesdose.errors import ConfigError

FORMULA = {"tumour": "uptake + volume", "kidney": "uptake"}


def encode(sites, **settings):
    return design.learn(sites, ModelSpec(FORMULA, engine="pymc", **settings))


def made_up(encoding, names: dict[str, tuple[int, ...]]) -> xr.Dataset:
    """Two chains of three draws that count upwards, with dimensions nobody should rely on."""
    out, start = {}, 0
    for name, shape in names.items():
        size = 6 * int(np.prod(shape))
        values = np.arange(start, start + size, dtype=float).reshape(2, 3, *shape)
        dims = ["chain", "draw", *(f"{name}_{i}" for i in range(len(shape)))]
        out[name] = xr.DataArray(values, dims=dims)
        start += size
    return xr.Dataset(out)


def test_draws_are_laid_out_chain_after_chain(sites):
    encoding, rows = encode(sites, group_effects=("centre",))
    p = [len(encoding.columns(k)) for k in range(2)]
    shapes = {
        f"beta_{encoding.tissues[0]}": (p[0],),
        f"beta_{encoding.tissues[1]}": (p[1],),
        "group_effect": (4,),
        "group_sd": (1,),
        "residual_sd": (2,),
        "patient_sd": (2,),
        "patient_corr": (2, 2),
        "cycle_sd": (2,),
        "site_sd": (2,),
        "patient_effects": (len(rows.patients), 2),
        "residual_df": (),
    }
    posterior = made_up(encoding, shapes)
    stats = made_up(encoding, {"logp": (), "diverging": (), "depth": ()})
    found = sampling.to_draws(encoding, posterior, stats)
    assert found.chains == 2
    assert len(found) == 6
    assert found.beta.shape == (6, encoding.n_coefficients)
    fourth = posterior.isel(chain=1, draw=0)
    parts = [f"beta_{encoding.tissues[0]}", f"beta_{encoding.tissues[1]}", "group_effect"]
    np.testing.assert_array_equal(found.beta[3], np.concatenate([fourth[n] for n in parts]))
    np.testing.assert_array_equal(found.patient_corr[3], fourth["patient_corr"])
    np.testing.assert_array_equal(found.patient_effect[3], fourth["patient_effects"])
    np.testing.assert_array_equal(found.df, posterior["residual_df"].values.ravel())
    np.testing.assert_array_equal(found.log_posterior, stats["logp"].values.ravel())
    assert set(found.sample_stats) == {"lp", "diverging", "tree_depth"}
    assert found.precision is None


def test_effects_that_a_tissue_lacks_have_standard_deviation_0(sites):
    kidneys_once = sites[(sites.tissue != "kidney") | (sites.cycle == 1)].reset_index(drop=True)
    encoding, _ = encode(kidneys_once, patient_correlation=False)
    kidney, tumour = (encoding.tissues.index(t) for t in ("kidney", "tumour"))
    shapes = {f"beta_{t}": (len(encoding.columns(k)),) for k, t in enumerate(encoding.tissues)}
    shapes |= {"residual_sd": (2,), "patient_sd": (2,), "cycle_sd": (1,), "site_sd": (1,)}
    shapes |= {"patient_effects": (4, 2)}
    posterior = made_up(encoding, shapes)
    found = sampling.to_draws(encoding, posterior, made_up(encoding, {"lp": ()}))
    assert not found.cycle_sd[:, kidney].any()
    np.testing.assert_array_equal(found.cycle_sd[:, tumour], posterior["cycle_sd"].values.ravel())
    np.testing.assert_array_equal(found.patient_corr, np.broadcast_to(np.eye(2), (6, 2, 2)))
    assert found.group_sd.shape == (6, 0)


def test_unknown_sampler_is_refused(sites):
    with pytest.raises(ConfigError, match=r"'blackjax'.*nutpie, pymc, numpyro"):
        sampling.sample(*encode(sites), draws=400, random_seed=1, sampler="blackjax")


@pytest.mark.parametrize("draws", [0, 10, -4])
def test_draws_must_divide_into_the_chains(sites, draws):
    with pytest.raises(ConfigError, match=f"draws: got {draws}; .* multiples of 4"):
        sampling.sample(*encode(sites), draws=draws, random_seed=1)


def test_numpyro_says_which_sampler_handles_censored_gamma_doses(sites):
    encoding, rows = encode(sites, likelihood="gamma", censored="below_limit")
    with pytest.raises(ConfigError, match="sampler='nutpie'"):
        sampling.sample(encoding, rows, draws=400, random_seed=1, sampler="numpyro")


def test_double_precision_stays_inside_its_block(monkeypatch):
    import jax
    import jax.numpy as jnp

    monkeypatch.delenv("XLA_FLAGS", raising=False)
    with sampling._double_precision():
        assert jnp.ones(1).dtype == jnp.float64
    assert jnp.ones(1).dtype == jnp.float32
    assert not jax.config.jax_enable_x64
    assert "XLA_FLAGS" not in os.environ
