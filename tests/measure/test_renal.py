"""Renal function against a table computed elsewhere."""

import numpy as np
import pytest

from bayesdose import measure
from bayesdose.errors import MeasureError

# creatinine mg/dL, age, CKD-EPI 2021, 2009, MDRD, Cockcroft-Gault of a man of 80 kg
TABLE = [
    (0.8, 65, 98.21, 93.74, 97.02, 104.17),
    (0.9, 70, 91.88, 86.23, 83.42, 86.42),
    (1.0, 70, 80.97, 75.92, 73.87, 77.78),
    (1.2, 72, 64.25, 60.05, 59.51, 62.96),
    (1.5, 75, 48.25, 44.89, 45.62, 48.15),
    (2.0, 80, 33.12, 30.61, 32.31, 33.33),
]


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_men(row):
    creatinine, age, *expected = row
    found = [
        measure.egfr_ckd_epi_2021(creatinine, age, False),
        measure.egfr_ckd_epi_2009(creatinine, age, False),
        measure.egfr_mdrd(creatinine, age, False),
        measure.cockcroft_gault(creatinine, age, False, 80),
    ]
    assert found == pytest.approx(expected, abs=0.0051)


def test_women_and_arrays():
    creatinine, age, female = [0.6, 0.8], [50, 65], np.array([True, False])
    found = measure.egfr_ckd_epi_2021(creatinine, age, female)
    assert found == pytest.approx([109.28, 98.21], abs=0.0051)
    man, woman = (measure.cockcroft_gault(1.0, 60, f, 70) for f in (False, True))
    assert woman / man == pytest.approx(0.85)
    for equation, factor in ((measure.egfr_mdrd, 1.212), (measure.egfr_ckd_epi_2009, 1.159)):
        both = equation(1.0, 60, False, black=np.array([False, True]))
        assert both[1] / both[0] == pytest.approx(factor)


@pytest.mark.parametrize("unit", ["umol/L", "µmol/l", "\N{GREEK SMALL LETTER MU}mol/L"])
def test_creatinine_units(unit):
    found = measure.creatinine_mg_dl([70.7, 176.8], unit)
    assert found == pytest.approx([0.8, 2.0], rel=1e-3)
    assert measure.creatinine_mg_dl(1.1, "mg/dL") == pytest.approx(1.1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: measure.egfr_ckd_epi_2021(88.0, 70, False), "88 mg/dL.*µmol/L"),
        (lambda: measure.creatinine_mg_dl(1.1, "umol/L"), "is that its unit"),
        (lambda: measure.creatinine_mg_dl(1.1, "mmol/L"), "'mg/dL' or 'umol/L'"),
        (lambda: measure.creatinine_mg_dl([1.0, -1.0], "mg/dL"), "entry 1.*above 0"),
        (lambda: measure.egfr_ckd_epi_2021(1.0, 7, False), "age_y.*from 18 up to 120"),
        (lambda: measure.egfr_ckd_epi_2021(1.0, 70, "male"), "female.*True or False"),
        (lambda: measure.egfr_ckd_epi_2021(1.0, 70, 1), "female.*True or False"),
        (lambda: measure.body_surface_area(80, 1.8), "height_cm.*Is it in cm"),
        (lambda: measure.body_surface_area(80, 180, "haycock"), "du_bois"),
    ],
)
def test_refused(call, words):
    with pytest.raises(MeasureError, match=words):
        call()


def test_body_surface_and_deindexing():
    assert measure.body_surface_area(70, 170) == pytest.approx(1.810, abs=0.001)
    assert measure.body_surface_area(72, 180, "mosteller") == pytest.approx(np.sqrt(3.6))
    assert measure.deindexed_egfr(60, 2.0) == pytest.approx(60 * 2.0 / 1.73)


def test_columns_of_different_length():
    with pytest.raises(MeasureError, match="do not go together"):
        measure.egfr_ckd_epi_2021([0.9, 1.0, 1.0], [70.0, 60.0], [True])
