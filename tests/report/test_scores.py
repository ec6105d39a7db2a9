from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bayesdose.report import score_markdown, score_text
from bayesdose.report.scores import elpd_text


@pytest.fixture
def table() -> pd.DataFrame:
    rows = []
    for tissue in ("salivary_gland", "kidney"):
        for weights in ("site", "patient"):
            for model, covered in (("in-sample, conditional", 0.93), ("population mean", np.nan)):
                rows.append(
                    {
                        "model": model,
                        "tissue": tissue,
                        "weights": weights,
                        "n_sites": 36,
                        "n_patients": 9,
                        "mae_gy": 123.456 if weights == "site" else 7.0,
                        "rmse_gy": 1234.5,
                        "mape": 0.206,
                        "r2_gy": -0.0001,
                        "r2_log": np.nan,
                        "hdi_coverage_95": covered,
                        "hdi_coverage_95_lower": 0.7,
                        "hdi_coverage_95_upper": 1.0,
                    }
                )
    return pd.DataFrame(rows)


def test_text_has_a_line_a_model_below_its_tissue(table):
    lines = score_text(table).splitlines()
    assert lines[0].split() == "MAE Gy RMSE Gy MAPE R² Gy R² log 95 % HDI holds".split()
    assert lines[1] == "salivary gland: 36 sites of 9 patients"
    assert (
        lines[2].split()
        == "in-sample, conditional 123.46 1234.50 21 % 0.00 93 % (70 to 100)".split()
    )
    assert lines[3].split() == "population mean 123.46 1234.50 21 % 0.00".split()
    assert lines[4] == "kidney: 36 sites of 9 patients"
    assert max(map(len, lines)) <= 100
    assert len({line.index("123.46") for line in lines if "123.46" in line}) == 1


def test_weights_choose_the_rows(table):
    assert "7.00" in score_text(table, weights="patient")
    assert "123.46" not in score_text(table, weights="patient")


def test_markdown_tables_have_as_many_cells_in_every_row(table):
    text = score_markdown(table)
    assert text.count("### ") == 2
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {8}
    assert (
        "| in-sample, conditional | 123.46 | 1234.50 | 21 % | 0.00 |  | 93 % (70 to 100) |" in rows
    )


def test_a_standard_error_over_few_patients_is_called_unreliable():
    def lopo(n: int) -> SimpleNamespace:
        patients = pd.DataFrame({"elpd": [-1.0] * n + [np.nan]})
        return SimpleNamespace(patients=patients, elpd=-float(n), elpd_se=2.0)

    assert elpd_text(lopo(9)).endswith("(standard error 2.0 over 9 patients; unreliable below 20).")
    assert elpd_text(lopo(30)).endswith("(standard error 2.0 over 30 patients).")
