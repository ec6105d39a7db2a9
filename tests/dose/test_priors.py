"""Priors as values: checked, resolved to sourced defaults, and back from plain text."""

import json

import pytest

import bayesdose as bd
from bayesdose.dose import priors as module
from bayesdose.errors import PriorError

EVERY_KIND = [
    bd.Normal(0.3, 2.0),
    bd.HalfNormal(0.4),
    bd.StudentT(5, 1, 0.2),
    bd.Exponential(3),
    bd.LKJ(1.5),
    bd.RegularizedHorseshoe(2, 1, 4),
    bd.R2D2(0.4, 3, 0.5),
    bd.Flat(),
]


@pytest.mark.parametrize(
    "make",
    [
        lambda: bd.Normal(0, 0),
        lambda: bd.Normal(float("inf"), 1),
        lambda: bd.Normal(float("nan"), 1),
        lambda: bd.HalfNormal(-1),
        lambda: bd.HalfNormal(float("nan")),
        lambda: bd.StudentT(0, 0, 1),
        lambda: bd.Exponential(0),
        lambda: bd.LKJ(-2),
        lambda: bd.RegularizedHorseshoe(0),
        lambda: bd.R2D2(1.0),
        lambda: bd.R2D2(0.5, 0),
    ],
)
def test_impossible_values(make):
    with pytest.raises(PriorError, match=r"must (be|lie)"):
        make()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("intercept", bd.HalfNormal(1), "Normal, StudentT, Flat"),
        ("slope", bd.Exponential(1), "RegularizedHorseshoe"),
        ("patient_sd", bd.Normal(0, 1), "HalfNormal"),
        ("residual_sd", 0.5, "HalfNormal"),
        ("patient_corr", bd.HalfNormal(1), "LKJ"),
        ("site_sd", bd.Flat(), "HalfNormal, StudentT, Exponential"),
        ("slope", {"kidney": bd.LKJ(2)}, "Normal"),
    ],
)
def test_priors_that_cannot_belong_to_a_parameter(field, value, words):
    with pytest.raises(PriorError, match=rf"priors\.{field}.*{words}"):
        bd.Priors(**{field: value})


@pytest.mark.parametrize("field", ["patient_corr", "group_sd"])
def test_what_all_tissues_share_is_one_value(field):
    value = bd.LKJ(2) if field == "patient_corr" else bd.HalfNormal(1)
    with pytest.raises(PriorError, match="one value, not a dict"):
        bd.Priors(**{field: {"kidney": value}})


def test_defaults():
    """Tissues with sources, unknown words, organs and lesions."""
    priors = bd.Priors()
    assert priors.resolve("intercept", "salivary_gland") == bd.Normal(-0.9, 0.6)
    assert priors.resolve("intercept", "elbow") == bd.Normal(-0.5, 1.5)
    assert priors.resolve("residual_sd", "kidney") == bd.HalfNormal(0.3)
    assert priors.resolve("residual_sd", "tumour") == bd.HalfNormal(0.8)
    assert priors.resolve("patient_sd", "kidney").sigma <= 0.5


def test_only_a_default_intercept_moves_with_the_activity():
    """A model in Gy: centres in log Gy/GBq plus log of the median activity."""
    stated = bd.Priors(intercept={"kidney": bd.Normal(0.1, 1)})
    assert stated.resolve("intercept", "kidney", 2.0) == bd.Normal(0.1, 1)
    assert stated.resolve("intercept", "tumour", 2.0) == bd.Normal(1.2 + 2.0, 0.9)


def test_a_dict_leaves_other_tissues_at_their_default():
    priors = bd.Priors(residual_sd={"kidney": bd.Exponential(4)})
    assert priors.resolve("residual_sd", "kidney") == bd.Exponential(4)
    assert priors.resolve("residual_sd", "liver") == bd.HalfNormal(0.3)


@pytest.mark.parametrize("prior", EVERY_KIND, ids=repr)
def test_round_trip_through_json(prior):
    field = {"LKJ": "patient_corr", "HalfNormal": "patient_sd", "Exponential": "site_sd"}
    name = field.get(type(prior).__name__, "slope")
    for value in (prior, {"kidney": prior}):
        if name == "patient_corr" and isinstance(value, dict):
            continue
        priors = bd.Priors(**{name: value})
        again = module.from_dict(json.loads(json.dumps(module.to_dict(priors))))
        assert again == priors
        assert hash(again) == hash(priors)


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"slop": {"kind": "Normal"}}, "unknown prior 'slop'.*slope"),
        ({"slope": {"kind": "Gauss"}}, "kind 'Gauss'.*Normal"),
        ({"slope": {"kind": "Normal", "sd": 1}}, "parameters of Normal are mu, sigma"),
        ({"slope": {"kind": "Flat", "sd": 1}}, "parameters of Flat are none"),
        ({"slope": 0.5}, "write"),
        ({"slope": {"by_tissue": {"kidney": {"kind": "Cauchy"}}}}, r"slope\.kidney.*'Cauchy'"),
    ],
)
def test_plain_text_that_is_no_prior(plain, words):
    with pytest.raises(PriorError, match=words):
        module.from_dict(plain)


def test_priors_do_not_change():
    priors = bd.Priors(slope={"kidney": bd.Normal(0, 1)})
    with pytest.raises(TypeError, match="values"):
        priors.slope["kidney"] = bd.Normal(0, 2)
    with pytest.raises(AttributeError):
        priors.slope["kidney"].sigma = 2
