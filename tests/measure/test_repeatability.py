"""The table of Shrout and Fleiss with its published correlations, and simulated repeats."""

import numpy as np
import pytest

from bayesdose import measure
from bayesdose.errors import MeasureError

#: Shrout and Fleiss 1979, table 2: six targets, four judges.
JUDGES = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


@pytest.mark.parametrize(
    ("model", "value", "lower", "upper"),
    [("ICC(2,1)", 0.29, 0.02, 0.76), ("ICC(3,1)", 0.71, 0.34, 0.95)],
)
def test_published_correlations(model, value, lower, upper):
    found = measure.intraclass_correlation(JUDGES, model=model)
    assert [round(one, 2) for one in (found.value, found.lower, found.upper)] == [
        value,
        lower,
        upper,
    ]


@pytest.mark.parametrize("model", ["ICC(2,1)", "ICC(3,1)"])
def test_coverage_of_the_intervals(model):
    """Subjects of sd 1, repeats of sd 0.3 (random for ICC(2,1)), residual sd 0.5."""
    rng = np.random.default_rng(1)
    within = 0.3**2 if model == "ICC(2,1)" else 0.0
    truth = 1 / (1 + 0.25 + within)
    hits = 0
    for _ in range(1000):
        repeats = rng.normal(0, 0.3, 4) if within else np.array([0.0, 0.5, 1.0, 1.5])
        table = rng.normal(size=(25, 1)) + repeats + rng.normal(0, 0.5, (25, 4))
        found = measure.intraclass_correlation(table, model=model)
        hits += found.lower < truth < found.upper
    assert hits / 1000 == pytest.approx(0.95, abs=0.025)


def test_within_subject_variation():
    rng = np.random.default_rng(2)
    hits = []
    for _ in range(500):
        table = np.exp(rng.normal(size=(20, 1)) + rng.normal(0, 0.1, (20, 2)))
        found = measure.within_subject_cv(table)
        hits.append(found.lower < np.sqrt(np.expm1(0.01)) < found.upper)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.03)
    # two repeats: s is the root mean square difference over the root of 2
    table = np.array([[1.0, 2.0], [4.0, 4.0], [3.0, 6.0]])
    s = np.sqrt((1 + 0 + 9) / 6)
    assert measure.repeatability_coefficient(table, relative=False) == pytest.approx(
        2.7718 * s, rel=1e-4
    )
    s = np.sqrt(2 * np.log(2) ** 2 / 6)
    assert measure.repeatability_coefficient(table, relative=True) == pytest.approx(
        np.exp(2.7718 * s) - 1, rel=1e-4
    )


def test_perfect_and_impossible_tables():
    same = np.tile([[1.0], [2.0], [4.0]], 3)
    for model in ("ICC(2,1)", "ICC(3,1)"):
        assert measure.intraclass_correlation(same, model=model).value == 1
    shifted = same + np.arange(3.0)
    assert measure.intraclass_correlation(shifted, model="ICC(3,1)").value == 1
    assert measure.intraclass_correlation(shifted).value < 1
    with pytest.raises(MeasureError, match="at least three"):
        measure.intraclass_correlation([[1, 2], [2, 1]])
    with pytest.raises(MeasureError, match="nothing varies"):
        measure.intraclass_correlation(np.ones((4, 2)))
    with pytest.raises(MeasureError, match="above 0"):
        measure.within_subject_cv([[1, 2], [0, 3], [4, 5]])
    with pytest.raises(MeasureError, match=r"ICC\(2,1\), ICC\(3,1\)"):
        measure.intraclass_correlation(JUDGES, model="ICC(1,1)")
