import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from bayesdose.simulate import dose_cohort

FOLDER = Path(__file__).parents[1] / "references" / "realism"


@pytest.fixture(scope="module")
def realism() -> ModuleType:
    spec = importlib.util.spec_from_file_location("realism", FOLDER / "realism.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "realism.csv").set_index("quantity")


def test_the_committed_figures_lie_in_their_bands(table: pd.DataFrame) -> None:
    outside = ~table["simulated"].between(table["lower"], table["upper"])
    assert table.index[outside].tolist() == []


def test_the_committed_figures_are_those_of_the_code(
    table: pd.DataFrame, realism: ModuleType
) -> None:
    found = realism.measure_realism(dose_cohort(realism.N_PATIENTS, random_seed=1))
    assert list(found) == list(table.index)
    np.testing.assert_allclose(list(found.values()), table["simulated"], rtol=1e-4)


def test_another_cohort_agrees_within_monte_carlo_error(
    table: pd.DataFrame, realism: ModuleType
) -> None:
    found = pd.Series(realism.measure_realism(dose_cohort(realism.N_PATIENTS, random_seed=4711)))
    # Difference of two cohorts; 4.5 SDs over 19 quantities.
    allowed = 4.5 * np.sqrt(2.0) * table["sd_between_cohorts"]
    assert ((found - table["simulated"]).abs() <= allowed).all()


def test_the_table_for_reading_is_that_of_the_figures(realism: ModuleType) -> None:
    stored = pd.read_csv(FOLDER / "realism.csv")
    text = (FOLDER / "realism.md").read_text(encoding="utf-8")
    assert realism.as_markdown(stored) == text
