import dataclasses

import pytest

import bayesdose as bd
from bayesdose.planning import LIMITS, DoseLimit

BED = {"alpha_beta_gy": 2.6, "repair_half_time_h": 2.8, "effective_half_life_h": 40.0}


def test_words_of_a_limit() -> None:
    assert DoseLimit("salivary_gland", gy=26.0, probability=0.9, sites="mean").text == (
        "salivary gland: mean of sites at most 26 Gy, with probability 0.9"
    )
    assert "40 Gy BED" in DoseLimit("kidney", bed_gy=40.0, **BED).text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gy": 23.0, "probability": 1.0}, "between 0 and 1"),
        ({"gy": 23.0, "probability": 0.0}, "between 0 and 1"),
        ({"gy": 23.0, "probability": 95}, "between 0 and 1"),
        ({"gy": 23.0, "probability": "0.95"}, "between 0 and 1"),
        ({}, "give gy or bed_gy"),
        ({"gy": 23.0, "bed_gy": 40.0, **BED}, "one of them"),
        ({"gy": -1.0}, "above 0"),
        ({"gy": float("inf")}, "above 0"),
        ({"gy": True}, "above 0"),
        ({"gy": 23.0, "sites": "all"}, "worst, mean, mass_mean"),
        ({"gy": 23.0, "already_gy": -1.0}, "at least 0"),
        ({"gy": 23.0, "already_gy": {"left": "3"}}, "at least 0"),
        ({"gy": 23.0, "already_gy": {1: 3.0, "1": 20.0}}, "site twice"),
        ({"gy": 23.0, "already_gy": {"left": 3.0}, "sites": "mean"}, "is by site"),
        ({"bed_gy": 40.0}, "needs alpha_beta_gy"),
        (
            {"bed_gy": 40.0, "alpha_beta_gy": 2.6, "repair_half_time_h": 2.8},
            "effective_half_life_h",
        ),
        ({"bed_gy": 40.0, **BED, "effective_half_life_h": 0.0}, "above 0"),
        ({"gy": 23.0, "alpha_beta_gy": 2.6}, "is in Gy"),
    ],
    ids=str,
)
def test_bad_limits(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(bd.ConfigError, match=message):
        DoseLimit("kidney", **arguments)  # type: ignore[arg-type]


def test_tissue_must_be_named() -> None:
    with pytest.raises(bd.ConfigError, match="tissue"):
        DoseLimit("", gy=23.0)


def test_published_limits_claim_nothing_that_was_not_read() -> None:
    for limit in LIMITS.values():
        assert not limit.verified
        assert "from memory" in limit.source
        assert limit.note


def test_published_limit_in_bed_wants_a_half_life() -> None:
    with pytest.raises(bd.ConfigError, match="effective_half_life_h"):
        LIMITS["kidney_40_gy_bed"].limit()
    found = LIMITS["kidney_40_gy_bed"].limit(effective_half_life_h=40.0, probability=0.9)
    assert found == DoseLimit("kidney", bed_gy=40.0, probability=0.9, **BED)


def test_limits_are_values() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DoseLimit("kidney", gy=23.0).gy = 28.0  # type: ignore[misc]
