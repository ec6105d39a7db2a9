"""ComBat against neuroCombat, and as a scikit-learn transformer."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from bayesdose.errors import MeasureError, NotFittedError
from bayesdose.measure import ComBat

REFERENCE = Path(__file__).resolve().parent.parent / "references" / "measure" / "combat.json"
FEATURES = [f"f{v}" for v in range(5)]


@pytest.fixture
def reference() -> dict:
    return json.loads(REFERENCE.read_text(encoding="utf-8"))


@pytest.fixture
def table(reference) -> pd.DataFrame:
    return pd.DataFrame(reference["table"])


def test_neurocombat(reference, table):
    found = ComBat(FEATURES, covariates=["volume", "tissue"]).fit_transform(table)
    for name, values in reference["harmonised"].items():
        assert found[name].to_numpy() == pytest.approx(values, abs=2e-6)
    pd.testing.assert_frame_equal(found.drop(columns=FEATURES), table.drop(columns=FEATURES))


def test_what_is_learnt_is_applied_to_new_rows(table):
    """Rows of a fold that was not learnt from do not move what was learnt."""
    combat = ComBat(FEATURES, covariates=["volume", "tissue"]).fit(table.drop(index=[5, 30]))
    whole = combat.transform(table)
    part = combat.transform(table.iloc[[5, 30]])
    pd.testing.assert_frame_equal(part, whole.iloc[[5, 30]])
    assert clone(combat).get_params()["features"] == FEATURES
    assert list(combat.get_feature_names_out()) == FEATURES


def test_batches_come_together():
    rng = np.random.default_rng(0)
    scanner = np.repeat(["A", "B"], 400)
    x = rng.normal(size=(800, 6))
    x[400:] = 2 + 1.7 * x[400:] + rng.normal(0, 0.1, 6)
    table = pd.DataFrame(x, columns=list("abcdef")).assign(scanner=scanner)
    found = ComBat(list("abcdef")).fit_transform(table)
    groups = found.groupby("scanner")[list("abcdef")]
    assert groups.mean().diff().iloc[1].abs().max() < 0.15  # it was 2
    assert (groups.std().iloc[1] / groups.std().iloc[0]).to_numpy() == pytest.approx(1, abs=0.05)


def test_refused(table):
    with pytest.raises(NotFittedError):
        ComBat(FEATURES).transform(table)
    with pytest.raises(MeasureError, match="at least two"):
        ComBat(FEATURES[:1]).fit(table)
    with pytest.raises(MeasureError, match="lacks g"):
        ComBat([*FEATURES, "g"]).fit(table)
    with pytest.raises(MeasureError, match="'D' has one row"):
        ComBat(FEATURES).fit(table.assign(scanner=["D", *table["scanner"][1:]]))
    with pytest.raises(MeasureError, match="cannot be told from scanner"):
        ComBat(FEATURES, covariates=["site"]).fit(table.assign(site=table["scanner"]))
    with pytest.warns(UserWarning, match="has 4 rows"):
        ComBat(FEATURES).fit(table.iloc[:40])
    combat = ComBat(FEATURES, covariates=["tissue"]).fit(table)
    with pytest.raises(MeasureError, match="'D' was not learnt"):
        combat.transform(table.assign(scanner="D"))
    with pytest.raises(MeasureError, match="tissue 'lung' was not learnt"):
        combat.transform(table.assign(tissue="lung"))
    with pytest.raises(MeasureError, match="f0"):
        combat.transform(table.assign(f0=np.nan))
    with pytest.raises(MeasureError, match="does not vary"):
        ComBat(FEATURES).fit(table.assign(f0=1.0))
