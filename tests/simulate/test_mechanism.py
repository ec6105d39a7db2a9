from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayesdose.errors import ConfigError
from bayesdose.simulate import MechanismParameters, dose_cohort


def simulate(parameters: MechanismParameters, n_patients: int = 300) -> pd.DataFrame:
    return dose_cohort(n_patients, random_seed=7, mechanism=parameters, truth=True)


def with_kind(parameters: MechanismParameters, name: str, **changes: float) -> MechanismParameters:
    kinds = dict(parameters.kinds)
    return replace(parameters, kinds=kinds | {name: replace(kinds[name], **changes)})


def test_more_tumour_leaves_less_for_every_site() -> None:
    little, much = (
        simulate(replace(MechanismParameters(), rest_volume_ml=volume)) for volume in (50.0, 800.0)
    )
    assert np.all(much["psma_tv_ml"] > little["psma_tv_ml"])
    for column in ("true_absorbed_dose_gy", "suv_mean"):
        assert np.all(much[column] < little[column])


def test_kidneys_follow_egfr_by_the_stated_exponent() -> None:
    without, with_effect = (
        simulate(replace(MechanismParameters(), egfr_kidney_exponent=exponent))
        for exponent in (0.0, 0.4)
    )
    change = np.log(with_effect["true_absorbed_dose_gy"] / without["true_absorbed_dose_gy"])
    kidney = with_effect["tissue"] == "kidney"
    np.testing.assert_allclose(change[~kidney], 0.0, atol=1e-12)
    poor = with_effect["egfr_ml_min_1p73m2"] < 75.0
    assert np.all(change[kidney & poor] > 0)
    assert np.all(change[kidney & ~poor] < 0)


def test_organ_dose_is_proportional_to_what_no_pet_can_see() -> None:
    base = MechanismParameters()
    doubled = with_kind(base, "kidney", ligand_ratio=2.0 * base.kinds["kidney"].ligand_ratio)
    one, two = simulate(base), simulate(doubled)
    kidney = one["tissue"] == "kidney"
    ratio = two["true_absorbed_dose_gy"] / one["true_absorbed_dose_gy"]
    np.testing.assert_allclose(ratio, np.where(kidney, 2.0, 1.0))
    np.testing.assert_allclose(two["suv_mean"], one["suv_mean"])


def test_declared_uncertainties_are_those_of_the_doses() -> None:
    frame = dose_cohort(4000, random_seed=11, truth=True)
    log_error = np.log(frame["absorbed_dose_gy"] / frame["true_absorbed_dose_gy"])
    volume_band = pd.qcut(frame["volume_ml"], 4, labels=False)
    declared = np.log1p(frame["absorbed_dose_cv"] ** 2) + np.log1p(
        frame["absorbed_dose_cv_shared"] ** 2
    )
    for _, rows in frame.groupby([frame["tissue"], volume_band]).groups.items():
        if len(rows) > 1000:
            # The SD of n numbers has a relative error of 1/sqrt(2n), more as patients share errors.
            assert log_error[rows].std() == pytest.approx(np.sqrt(declared[rows].mean()), rel=0.08)
    for _, rows in frame.groupby("tissue").groups.items():
        assert abs(log_error[rows].mean()) < 4.0 * log_error[rows].std() / np.sqrt(4000)


def test_calibration_error_is_common_to_a_patient_and_cycle() -> None:
    frame = dose_cohort(3000, random_seed=12, truth=True)
    kidney = frame[frame["tissue"] == "kidney"]
    log_error = np.log(kidney["absorbed_dose_gy"] / kidney["true_absorbed_dose_gy"])
    left, right = (
        log_error[kidney["site_id"] == side].to_numpy() for side in ("kidney_left", "kidney_right")
    )
    assert np.cov(left, right)[0, 1] == pytest.approx(np.log1p(0.07**2), rel=0.1)


def test_half_lives_beyond_the_physical_one_are_refused() -> None:
    parameters = with_kind(MechanismParameters(), "tumour", effective_half_life_h=140.0)
    with pytest.raises(ConfigError, match="effective half-lives up to"):
        simulate(parameters)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kinds": {}}, "it must have tumour, parotid, submandibular, kidney"),
        ({"calibration_cv": -0.1}, "calibration_cv is -0.1; it must be finite and 0 or more"),
        ({"body_weight_kg": float("nan")}, "body_weight_kg is nan"),
        ({"rest_volume_ml": 0.0}, "rest_volume_ml is 0.0; it must be finite and above 0"),
    ],
)
def test_impossible_populations_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(MechanismParameters(), **changes)


def test_tumours_shrink_and_organs_stay_over_the_cycles() -> None:
    frame = dose_cohort(200, random_seed=3, n_cycles=4)
    volume = frame.pivot_table(index=["patient_id", "site_id"], columns="cycle", values="volume_ml")
    lesion = volume.index.get_level_values("site_id").str.startswith("T")
    ratio = (volume[4] / volume[1]).to_numpy()
    assert np.median(ratio[lesion]) == pytest.approx(np.exp(-0.75), rel=0.1)
    assert np.median(ratio[~lesion]) == pytest.approx(1.0, rel=0.02)
