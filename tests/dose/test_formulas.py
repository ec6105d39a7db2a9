"""Formulas: what they read, what they may call, and a state that fits in JSON."""

import json

import numpy as np
import pandas as pd
import pytest

from bayesdose.dose import formulas
from bayesdose.errors import FormulaError, UnknownCategoryError


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": rng.uniform(1, 9, 12),
            "y": rng.normal(size=12),
            "grp": list("abcabcabcabc"),
            "flag": [True, False] * 6,
            "my col": rng.uniform(size=12),
            "digits": [str(i) for i in range(12)],
        },
        index=[f"row {i}" for i in range(12)],
    )


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("1", []),
        ("log(x) + y:grp", ["grp", "x", "y"]),
        ("bs(log(x), df=4)", ["x"]),
        ("poly(x, 2) + C(grp, Treatment('b'))", ["grp", "x"]),
        ("np.log(x) * I(y ** 2)", ["x", "y"]),
        ("center(x) + scale(y)", ["x", "y"]),
        ("`my col` + x", ["my col", "x"]),
    ],
)
def test_columns_that_a_formula_reads(formula, expected):
    assert formulas.variables(formula) == expected


def test_values(table):
    terms, matrix = formulas.learn("log(x) + C(grp) + flag + I(y ** 2)", table, "here")
    assert terms.columns[0] == "Intercept"
    found = dict(zip(terms.columns, matrix.T, strict=True))
    np.testing.assert_allclose(found["log(x)"], np.log(table["x"]))
    np.testing.assert_array_equal(found["C(grp)[T.b]"], table["grp"] == "b")
    np.testing.assert_array_equal(found["flag"], table["flag"].astype(float))
    np.testing.assert_allclose(found["I(y ** 2)"], table["y"] ** 2)
    assert not terms.stateful


@pytest.mark.parametrize("formula", ["poly(x, 2)", "bs(log(x), df=4)", "cr(x, df=4)"])
def test_learnt_columns_apply_to_later_rows(table, formula):
    """The same columns for a row whether it comes alone or with the training rows."""
    terms, matrix = formulas.learn(formula, table, "here")
    assert terms.stateful
    one = terms.encode(table.iloc[[4]], "here")
    np.testing.assert_allclose(one[0], matrix[4])


@pytest.mark.parametrize(
    "formula",
    ["log(x) + C(grp)", "poly(x, 2) + flag", "bs(x, df=5)", "x * grp", "center(x)", "1", "0 + x"],
)
def test_state_goes_through_json(table, formula):
    terms, _ = formulas.learn(formula, table, "here")
    again = formulas.restore(json.loads(json.dumps(terms.state())))
    assert again.columns == terms.columns
    part = table.iloc[2:5]
    np.testing.assert_allclose(again.encode(part, "here"), terms.encode(part, "here"))


def test_a_category_that_was_not_learnt(table):
    terms, _ = formulas.learn("C(grp)", table, "tissue 'kidney'")
    with pytest.raises(UnknownCategoryError, match=r"'grp' \(tissue 'kidney'\) has 'z'.*a, b, c"):
        terms.encode(table.assign(grp="z"), "tissue 'kidney'")


def test_one_category_alone_keeps_its_columns(table):
    terms, matrix = formulas.learn("grp", table, "here")
    np.testing.assert_array_equal(terms.encode(table[table["grp"] == "c"], "here"), matrix[2::3])


@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os').getpid()",
        "I(open('x'))",
        "x.__class__",
        "I((lambda: 1)())",
        "I([i for i in x])",
        "I(x if x else y)",
        "{__import__('os').getpid()}",
        "np.linalg.norm(x)",
        "np.load(x)",
        "I(x[0])",
        "eval(x)",
    ],
)
def test_only_listed_functions_run(table, formula):
    with pytest.raises(FormulaError):
        formulas.learn(formula, table, "here")


def test_quoted_names_open_no_way_round_the_list(table, tmp_path):
    """Backticks hide an expression from Python's parser, but not from the evaluation."""
    file = tmp_path / "written"
    formula = f"I(open({str(file)!r}, 'w').write('x') * `x`)"
    table[formula] = 1.0
    with pytest.raises(FormulaError):
        formulas.learn(formula, table, "here")
    assert not file.exists()


@pytest.mark.parametrize("formula", ["x +", "log(x", "x x", "y ~ x", "y ~ x ~ 1", "x | grp", "+"])
def test_what_does_not_parse(table, formula):
    with pytest.raises(FormulaError, match="here"):
        formulas.learn(formula, table, "here")


def test_misspelt_columns_are_named_with_a_suggestion(table):
    with pytest.raises(FormulaError, match=r"'my_col'.*did you mean 'my col'"):
        formulas.learn("my_col", table, "here")


def test_logarithm_of_what_has_none_names_the_row(table):
    table.loc["row 7", "x"] = -1.5
    with pytest.raises(FormulaError, match=r"log\(x\).*x = -1\.5") as caught:
        formulas.learn("log(x)", table, "tissue 'kidney'")
    assert "np." not in str(caught.value)


def test_numbers_hidden_in_text(table):
    with pytest.raises(FormulaError, match="'digits' holds text"):
        formulas.learn("digits", table, "here")
