"""Clinical scores against the published tables, typed here a second time, at every boundary."""

import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesdose import measure
from bayesdose.errors import BayesdoseError, RiskError
from bayesdose.risk import scores
from bayesdose.risk.scores import tables

NAN = float("nan")
PAGE = Path(__file__).parents[2] / "docs" / "clinical-scores.md"

# A man without a point, and one with all of them.
NONE = {
    "age_y": 49,
    "psa_ng_ml": 6.0,
    "gleason_primary": 3,
    "gleason_secondary": 3,
    "clinical_t": "T2c",
    "percent_positive_cores": 33.9,
}
ALL = {
    "age_y": 50,
    "psa_ng_ml": 30.1,
    "gleason_primary": 4,
    "gleason_secondary": 3,
    "clinical_t": "T3a",
    "percent_positive_cores": 34,
}
OF_A_MAN = {"pet_tracer": "68Ga-PSMA-11"}
REFERENCE = {
    "reference_grade_group": [2, 3, 4, 4, 5, 5],
    "reference_percent_positive_cores": [60.0, 40.0, 30.0, 75.0, 50.0, 90.0],
}


def capra(**changed):
    return scores.capra(**(NONE | changed))


def primary(pattern, suv_max, **options):
    return scores.primary_score(pattern, suv_max, **(OF_A_MAN | options))


def surrogate(group, cores, **changed):
    return scores.ucla_psma_surrogate(group, cores, **(REFERENCE | changed))


def printed_psa_points(psa):
    """The bands as printed: 2.1-6.0, 6.1-10, 10.1-20, 20.1-30, > 30."""
    for points, (first, last) in enumerate([(0.0, 6.0), (6.1, 10.0), (10.1, 20.0), (20.1, 30.0)]):
        if first <= psa <= last:
            return points
    return 4


def test_capra_runs_from_0_to_10():
    assert capra() == 0
    assert scores.capra(**ALL) == 10


@pytest.mark.parametrize(
    ("argument", "values", "points"),
    [
        ("age_y", [18, 49, 49.999, 50, 50.0, 51, 120], [0, 0, 0, 1, 1, 1, 1]),
        ("psa_ng_ml", [0, 2.0, 2.1, 6, 6.0, 6.05, 6.1, 10, 10.1], [0, 0, 0, 0, 0, 1, 1, 1, 2]),
        ("psa_ng_ml", [20, 20.0, 20.1, 30, 30.0, 30.1, 5000], [2, 2, 3, 3, 3, 4, 4]),
        ("percent_positive_cores", [0, 1, 33, 33.999, 34, 34.0, 100], [0, 0, 0, 0, 1, 1, 1]),
        ("clinical_t", ["T1", "T1a", "T1b", "T1c", "T2", "T2a", "T2b", "T2c"], [0] * 8),
        ("clinical_t", ["T3a", "t3a", "cT3a", " CT3A ", "cT2a", "t1c"], [1, 1, 1, 1, 0, 0]),
    ],
)
def test_capra_at_its_boundaries(argument, values, points):
    assert capra(**{argument: values}).tolist() == points


def test_capra_at_every_printed_psa():
    psa = np.arange(1, 401) / 10
    assert capra(psa_ng_ml=psa).tolist() == [printed_psa_points(one) for one in psa]


@pytest.mark.parametrize("first", range(1, 6))
@pytest.mark.parametrize("second", range(1, 6))
def test_capra_of_every_gleason_pair(first, second):
    points = 3 if first in (4, 5) else 1 if second in (4, 5) else 0
    assert capra(gleason_primary=first, gleason_secondary=second) == points


def test_capra_is_the_sum_of_its_parts():
    for chosen in itertools.product([False, True], repeat=5):
        age, psa, gleason, stage, cores = chosen
        men = NONE | {
            name: ALL[name]
            for name, yes in zip(
                ("age_y", "psa_ng_ml", "gleason_primary", "clinical_t", "percent_positive_cores"),
                chosen,
                strict=True,
            )
            if yes
        }
        assert scores.capra(**men) == age + 4 * psa + 3 * gleason + stage + cores


@pytest.mark.parametrize("argument", NONE)
@pytest.mark.parametrize("missing", [NAN, None, pd.NA, np.nan])
def test_capra_needs_all_six(argument, missing):
    # also where the other Gleason pattern, or the sum so far, might seem to settle it
    found = scores.capra(**(ALL | {argument: [ALL[argument], missing]}))
    assert found[0] == 10
    assert np.isnan(found[1])
    assert np.isnan(scores.capra(**(ALL | {argument: missing})))


def test_capra_of_columns():
    frame = pd.DataFrame([NONE, ALL, ALL | {"clinical_t": ""}], index=["a", "b", "c"])
    frame["gleason_primary"] = frame["gleason_primary"].astype("Int64")
    frame["clinical_t"] = frame["clinical_t"].astype("category")
    frame.loc["b", "gleason_secondary"] = 5
    found = scores.capra(**{name: frame[name] for name in frame})
    np.testing.assert_array_equal(found, [0, 10, NAN])
    assert capra(age_y=[[49], [50]], psa_ng_ml=[5, 7, 11]).tolist() == [[0, 1, 2], [1, 2, 3]]


def test_capra_risk_groups():
    found = scores.capra_risk_group([*range(11), NAN])
    expected = ["low"] * 3 + ["intermediate"] * 3 + ["high"] * 5
    assert found[:-1].tolist() == expected
    assert np.isnan(found[-1])
    assert scores.capra_risk_group(scores.capra(**ALL)) == "high"
    assert scores.capra_risk_group(2) == "low"


def test_grade_groups():
    for first, second in itertools.product((3, 4, 5), repeat=2):
        total = first + second
        expected = {6: 1, 7: 2 if first == 3 else 3, 8: 4, 9: 5, 10: 5}[total]
        assert scores.grade_group(first, second) == expected
    np.testing.assert_array_equal(scores.grade_group([3, NAN, 4], [4, 4, None]), [2, NAN, NAN])
    assert scores.grade_group([[3], [4]], [3, 4]).tolist() == [[1, 2], [3, 4]]


def test_primary_levels():
    patterns = ["none", "diffuse_transition_zone", "symmetric_central_zone"]
    patterns += ["focal_transition_zone", "focal_peripheral_zone"]
    assert primary(patterns, 3.0).tolist() == [1, 2, 2, 3, 4]
    assert primary(patterns, 12.1).tolist() == [5] * 5
    assert primary("none", [11.9, 12.0, 12.1]).tolist() == [1, 1, 5]
    assert primary("none", [11.9, 12.0], limit_included=True).tolist() == [1, 5]


def test_primary_is_5_without_a_pattern_but_nothing_without_suv():
    found = primary([None, None, "focal_peripheral_zone", "none"], [12.1, 12.0, NAN, 1.0])
    np.testing.assert_array_equal(found, [5, NAN, NAN, 1])


@pytest.mark.parametrize("tracer", ["[68Ga]Ga-PSMA-11", "Ga68 PSMA 11", "68Ga-PSMA-HBED-CC"])
def test_primary_knows_its_tracer(tracer):
    assert primary("none", 13.0, pet_tracer=tracer) == 5


@pytest.mark.parametrize("tracer", ["18F-PSMA-1007", "18F-PSMA-11", "68Ga-PSMA-617", "PSMA-11", ""])
def test_primary_asks_for_the_limit_of_other_tracers(tracer):
    with pytest.raises(RiskError, match=r"68Ga-PSMA-11.*suv_max_limit="):
        primary("none", 13.0, pet_tracer=tracer)
    found = primary("none", [13.0, 20.0, 20.1], pet_tracer=tracer, suv_max_limit=20.0)
    assert found.tolist() == [1, 1, 5]


def test_expression_score_is_that_of_measure():
    assert scores.psma_expression_score is measure.psma_expression_score
    (classes,) = tables.PROMISE_V2.parts
    # SUV 2, 5 and 15 of the references, and a lesion in each class and at its lower end
    found = scores.psma_expression_score(
        [1.9, 2.0, 5.0, 15.0], blood_pool=2, liver=5, parotid=15, pet_tracer="68Ga-PSMA-11"
    )
    assert found.tolist() == list(classes.points.values())


def test_surrogate_has_the_published_odds_ratios():
    def odds(*man):
        p = surrogate(*man)
        return p / (1 - p)

    assert odds(4, 50) / odds(3, 50) == pytest.approx(2.15)
    assert odds(4, 51) / odds(4, 50) == pytest.approx(1.03)
    # as in shared/domain/facts.md: 0.765 and 0.0296
    assert np.log(2.15) == pytest.approx(0.765, abs=0.001)
    assert np.log(1.03) == pytest.approx(0.0296, abs=0.00005)


@pytest.mark.parametrize("men", [slice(None), slice(0, 1), slice(2, 5)])
def test_surrogate_has_the_published_mean_on_its_reference(men):
    chosen = {name: values[men] for name, values in REFERENCE.items()}
    assert surrogate(*chosen.values(), **chosen).mean() == pytest.approx(0.239, abs=1e-9)


def test_reference_of_the_surrogate_moves_the_level_alone():
    group, cores = [1, 3, 5, 4], [90.0, 10.0, 20.0, NAN]
    other = {"reference_grade_group": 5, "reference_percent_positive_cores": 80}
    first, second = surrogate(group, cores), surrogate(group, cores, **other)
    np.testing.assert_array_equal(np.argsort(first), np.argsort(second))
    assert (first[:3] > second[:3]).all()
    assert np.isnan(first[3])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: capra(age_y=[60, 700]), r"`age_y`, entry 1, is 700; allowed.*18 to 120.*NaN"),
        (lambda: capra(psa_ng_ml=-0.1), "`psa_ng_ml` is -0.1; allowed are finite numbers from 0"),
        (lambda: capra(psa_ng_ml=float("inf")), "psa_ng_ml.* is inf; allowed are finite"),
        (lambda: capra(psa_ng_ml=[1, "<6", "x"]), "entry 1, is '<6'.*2 such entries"),
        (lambda: capra(age_y=True), "`age_y` is True"),
        (lambda: capra(gleason_primary=7), "whole numbers from 1 to 5. It is one pattern, not the"),
        (lambda: capra(gleason_secondary=3.5), "gleason_secondary.*3.5"),
        (lambda: capra(gleason_secondary=0), "gleason_secondary.*is 0"),
        (lambda: capra(clinical_t=["T1c", "T3b"]), "entry 1, is 'T3b'; allowed are T1, .*T3a"),
        (lambda: capra(clinical_t="T4"), "T3b and T4 lie outside"),
        (lambda: capra(clinical_t="T3"), "T3 alone"),
        (lambda: capra(clinical_t="pT2"), "pathological"),
        (lambda: capra(clinical_t="TX"), "'TX'"),
        (lambda: capra(clinical_t=2), "`clinical_t` is 2"),
        (lambda: capra(percent_positive_cores=[0, 0.34]), "entry 1, is 0.34.*not 0.34"),
        (lambda: capra(percent_positive_cores=100.1), "from 0 to 100 %.*in percent"),
        (lambda: capra(age_y=[50, 60], psa_ng_ml=[1, 2, 3]), r"age_y.*\(2,\).*psa_ng_ml.*\(3,\)"),
        (lambda: capra(age_y=[[50, 60], [70]]), r"age_y"),
        (lambda: scores.capra_risk_group([3, 11]), "entry 1, is 11.*0 to 10"),
        (lambda: scores.capra_risk_group(2.5), "whole numbers"),
        (lambda: scores.grade_group([[3, 2]], 3), r"entry \(0, 1\), is 2.*from 3 to 5.*no group"),
        (lambda: scores.grade_group([3, 3], [3, 4, 4]), "shapes do not go together"),
        (lambda: primary("focal", 3.0), "'focal'; allowed are none, .*No dominant pattern"),
        (lambda: primary("none", -1.0), "suv_max"),
        (lambda: primary(["none"] * 2, [1.0] * 3), "shapes"),
        (lambda: primary("none", 1.0, suv_max_limit=0), "`suv_max_limit` is 0; allowed.*above 0"),
        (lambda: primary("none", 1.0, suv_max_limit=NAN), "suv_max_limit"),
        (lambda: primary("none", 1.0, suv_max_limit="12"), "suv_max_limit"),
        (lambda: surrogate(6, 50), "grade_group.*6.*1 to 5"),
        (lambda: surrogate(4, 0.5), "percent_positive_cores.*share"),
        (lambda: surrogate(4, 50, reference_grade_group=0), "`reference_grade_group`"),
        (lambda: surrogate([4, 4], [50, 60, 70]), "shapes"),
        (
            lambda: surrogate(4, 50, reference_percent_positive_cores=[NAN] + [50] * 5),
            "6 men, 1 of them with missing",
        ),
        (
            lambda: surrogate(4, 50, reference_grade_group=[], reference_percent_positive_cores=[]),
            "0 men",
        ),
    ],
)
def test_what_is_out_of_range_is_one_clear_error(call, words):
    with pytest.raises(BayesdoseError, match=words):
        call()


def section(name):
    (found,) = re.findall(
        rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.S | re.M
    )
    return found


def printed_rows(text):
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


@pytest.mark.parametrize(
    "table",
    [tables.CAPRA, tables.GRADE_GROUPS, tables.PRIMARY, tables.PROMISE_V2],
    ids=lambda table: table.name,
)
def test_tables_are_printed_in_the_guide(table):
    text = section(table.name)
    expected = [(what, condition, str(points)) for what, condition, points in table.rows()]
    assert printed_rows(text)[1 : len(expected) + 1] == expected
    flat = " ".join(text.split())
    for words in (table.scope, table.source, table.status):
        assert words in flat
    assert f"Score: {table.made_by}, {table.least} to {table.most}" in flat
    for name, (first, last) in table.groups.items():
        assert f"{name} {first} to {last}" in flat


def test_groups_cover_each_score_once():
    for table in (tables.CAPRA, tables.PRIMARY):
        covered = [n for first, last in table.groups.values() for n in range(first, last + 1)]
        assert covered == list(range(table.least, table.most + 1))


def test_counts_of_the_primary_paper_are_printed_and_add_up():
    expected = [(str(k), str(n), f"{p:g} %") for k, (n, p) in tables.PRIMARY_OBSERVED.items()]
    assert printed_rows(section("PRIMARY"))[-5:] == expected
    assert sum(n for n, _ in tables.PRIMARY_OBSERVED.values()) == 291
    # 162 of the 291 men had significant cancer, says the abstract
    with_cancer = [round(n * percent / 100) for n, percent in tables.PRIMARY_OBSERVED.values()]
    assert sum(with_cancer) == pytest.approx(162, abs=1)


def test_the_surrogate_is_printed_and_named_as_one():
    table = tables.UCLA_SURROGATE
    text = section(table.name)
    expected = [
        (one.per, f"{one.value:g}", f"{one.lower:g} to {one.upper:g}")
        for one in table.odds_ratios.values()
    ]
    assert printed_rows(text)[1:] == expected
    flat = " ".join(text.split())
    for words in (table.differs, table.scope, table.source, table.status, "is not that score"):
        assert words in flat
    assert f"{table.mean_probability:g}" in flat
    assert not any("ucla" in name and "surrogate" not in name for name in scores.__all__)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (scores.capra, "from memory"),
        (scores.capra_risk_group, "verified against"),
        (scores.grade_group, "verified"),
        (scores.primary_score, "verified against"),
        (scores.psma_expression_score, "from memory"),
        (scores.ucla_psma_surrogate, "never validated"),
    ],
)
def test_every_docstring_says_what_is_verified(function, words):
    assert words in " ".join(function.__doc__.split())
