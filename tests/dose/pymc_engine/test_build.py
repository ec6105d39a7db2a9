"""The PyMC joint log density against one written row by row with scipy."""

import numpy as np
import pymc as pm
import pytest
from scipy import stats

from bayesdose.dose import design
from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.priors import LKJ, Exponential, HalfNormal, Normal, Priors
from bayesdose.dose.pymc_engine.build import build_model
from bayesdose.dose.spec import ModelSpec
from bayesdose.errors import SiteTableError

FORMULA = {"tumour": "uptake + volume", "kidney": "uptake"}


def encode(sites, **settings) -> tuple[Encoding, Rows]:
    return design.learn(sites, ModelSpec(FORMULA, engine="pymc", **settings))


def prior_by_hand(values: dict[str, np.ndarray]) -> float:
    """Priors of `PRIORS`; everything else is standard normal."""
    laws = {
        "residual_sd": stats.halfnorm(scale=0.7),
        "patient_sd": stats.halfnorm(scale=0.5),
        "cycle_sd": stats.expon(scale=1 / 3),
        "site_sd": stats.halfnorm(scale=0.4),
        "group_sd": stats.halfnorm(scale=0.2),
        "residual_df": stats.gamma(2, scale=10),
        "patient_partial_corr_unit": stats.beta(2, 2),  # LKJ(2) for two effects
    }
    total = 0.0
    for name, value in values.items():
        if name.startswith("beta_"):
            sd = np.full(len(value), 0.6)
            sd[0] = 2.0
            mean = np.where(sd == 2.0, 1.0, 0.0)
            total += stats.norm(mean, sd).logpdf(value).sum()
        else:
            total += laws.get(name, stats.norm()).logpdf(value).sum()
    return total


PRIORS = Priors(
    intercept=Normal(1.0, 2.0),
    slope=Normal(0.0, 0.6),
    patient_sd=HalfNormal(0.5),
    patient_corr=LKJ(2),
    residual_sd=HalfNormal(0.7),
    cycle_sd=Exponential(3.0),
    site_sd=HalfNormal(0.4),
    group_sd=HalfNormal(0.2),
)


def mean_by_hand(encoding: Encoding, rows: Rows, values: dict[str, np.ndarray]) -> np.ndarray:
    """Log mean dose, row by row from labels and dictionaries."""
    first_z, second_z = values["patient_effects_z"].T
    r = 2 * values["patient_partial_corr_unit"][0] - 1
    u = np.column_stack([first_z, r * first_z + np.sqrt(1 - r**2) * second_z])
    u = u * values["patient_sd"]
    out = []
    cycles, sites = {}, {}
    # effects are numbered in the order of their codes
    for code in np.unique(rows.cycle * 2 + rows.tissue):
        z = values["cycle_effect_z"][len(cycles)]
        cycles[code] = z * values["cycle_sd"][code % 2]
    for code in np.unique(rows.site):
        tissue = rows.tissue[rows.site == code][0]
        sites[code] = values["site_effect_z"][len(sites)] * values["site_sd"][tissue]
    own = 0
    for j, (i, k) in enumerate(zip(rows.patient, rows.tissue, strict=True)):
        tissue = encoding.tissues[k]
        group = values["group_effect_z"][k * 2 + rows.groups[j, 0]] * values["group_sd"][0]
        mean = rows.log_activity[j] + rows.x[j, encoding.blocks[k]] @ values[f"beta_{tissue}"]
        mean += group + u[i, k] + cycles[rows.cycle[j] * 2 + k] + sites[rows.site[j]]
        mean += np.sqrt(rows.shared_var[j]) * values["shared_error_z"][rows.cycle[j]]
        if "measurement_error_z" in values and rows.own_var[j] > 0:
            mean += np.sqrt(rows.own_var[j]) * values["measurement_error_z"][own]
            own += 1
        out.append(mean)
    return np.array(out)


def dose_law(likelihood: str, rows: Rows, mean: np.ndarray, values: dict[str, np.ndarray]):
    """Distribution of the dose in Gy, and of what its log density adds to get there."""
    scale, dose = values["residual_sd"][rows.tissue], np.exp(rows.log_dose)
    if likelihood == "lognormal":
        sd = np.sqrt(scale**2 + rows.own_var)
        return stats.lognorm(sd, scale=np.exp(mean)), dose, 0.0
    if likelihood == "gamma":
        return stats.gamma(1 / scale**2, scale=np.exp(mean) * scale**2), dose, 0.0
    return stats.t(values["residual_df"], mean, scale), rows.log_dose, rows.log_dose


@pytest.mark.parametrize("likelihood", ["lognormal", "student_t", "gamma"])
@pytest.mark.parametrize("censored", [None, "below_limit"])
def test_joint_log_density_equals_one_written_by_hand(sites, plain, likelihood, censored):
    encoding, rows = encode(
        sites,
        likelihood=likelihood,
        censored=censored,
        dose_cv="cv",
        dose_cv_shared="cv_shared",
        group_effects=("centre",),
        priors=PRIORS,
    )
    model = build_model(encoding, rows)
    values = plain.random_values(model, np.random.default_rng(11))
    law, at, jacobian = dose_law(likelihood, rows, mean_by_hand(encoding, rows, values), values)
    pointwise = np.where(rows.censored, law.logcdf(at), law.logpdf(at) - jacobian)
    assert rows.censored.any() == (censored is not None)
    np.testing.assert_allclose(
        plain.log_density(model, values), prior_by_hand(values) + pointwise.sum(), rtol=1e-10
    )


def test_names_and_dimensions_are_those_of_the_contract(sites):
    encoding, rows = encode(sites, group_effects=("centre",))
    dims = build_model(encoding, rows).named_vars_to_dims
    assert dims["beta_tumour"] == ("covariate_tumour",)
    assert dims["residual_sd"] == ("tissue",)
    assert dims["patient_sd"] == ("patient_effect",)
    assert dims["patient_corr"] == ("patient_effect", "patient_effect_2")
    assert dims["patient_effects"] == ("patient", "patient_effect")
    assert dims["group_sd"] == ("group",)
    assert {"cycle_sd", "site_sd", "group_effect"} <= set(dims)


def test_effects_that_the_specification_leaves_out_are_left_out(sites):
    once = sites[sites.cycle == 1].reset_index(drop=True)
    encoding, rows = encode(once, patient_effects="0")
    names = set(build_model(encoding, rows).named_vars)
    assert not {n for n in names if n.startswith(("patient", "cycle", "site", "group", "shared"))}


def test_independent_effects_have_no_correlation(sites, plain):
    encoding, rows = encode(sites, patient_correlation=False)
    model = build_model(encoding, rows)
    assert "patient_corr" not in model.named_vars
    values = plain.random_values(model, np.random.default_rng(0))
    effects = plain.value_of(model, "patient_effects", values)
    np.testing.assert_allclose(effects, values["patient_effects_z"] * values["patient_sd"])


@pytest.mark.parametrize("likelihood", ["lognormal", "student_t", "gamma"])
def test_a_model_fed_another_table_is_the_model_of_that_table(sites, plain, likelihood):
    tables = [sites[sites.patient_id != left].reset_index(drop=True) for left in ("P0", "P2")]
    settings = {
        "likelihood": likelihood,
        "censored": "below_limit",
        "dose_cv": "cv",
        "dose_cv_shared": "cv_shared",
        "group_effects": ("centre",),
    }
    fed, own = (build_model(*encode(t, **settings), data_containers=True) for t in tables)
    assert fed["x"].get_value().shape == own["x"].get_value().shape
    with fed:
        pm.set_data({variable.name: variable.get_value() for variable in own.data_vars})
    values = plain.random_values(own, np.random.default_rng(5))
    reference = build_model(*encode(tables[1], **settings))
    np.testing.assert_allclose(plain.log_density(fed, values), plain.log_density(reference, values))
    np.testing.assert_allclose(plain.log_density(own, values), plain.log_density(reference, values))


def test_a_model_may_be_fed_another_number_of_rows(sites, plain):
    short = sites.drop(index=0).reset_index(drop=True)
    fed, other = (build_model(*encode(t), data_containers=True) for t in (sites, short))
    with fed:
        pm.set_data({variable.name: variable.get_value() for variable in other.data_vars})
    values = plain.random_values(other, np.random.default_rng(5))
    np.testing.assert_allclose(plain.log_density(fed, values), plain.log_density(other, values))


def test_a_row_without_dose_is_refused(sites):
    encoding, rows = encode(sites)
    rows.log_dose[3] = np.nan
    with pytest.raises(SiteTableError, match=r"row 3 .*'P0'.* has no measured dose"):
        build_model(encoding, rows)
