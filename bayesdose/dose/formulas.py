"""Formulas: text to columns, by formulaic, with an allow-list and a state that fits in JSON.

Formulaic evaluates Python inside a formula. A formula may come from a file, so only the
functions below, arithmetic and column names are let through.
"""

import ast
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.errors import FormulaError, UnknownCategoryError

FUNCTIONS = frozenset(
    "log log2 log10 exp sqrt C I bs cs cc cr poly center scale standardize "
    "Treatment Sum Helmert Diff".split()
)
_NUMPY_FUNCTIONS = frozenset("log log2 log10 log1p exp sqrt abs".split())
_STATEFUL = frozenset("bs cs cc cr poly center scale standardize".split())
_NODES = (
    ast.Expression,
    ast.Call,
    ast.Name,
    ast.Load,
    ast.Constant,
    ast.keyword,
    ast.BinOp,
    ast.UnaryOp,
    ast.operator,
    ast.unaryop,
    ast.List,
    ast.Tuple,
    ast.Attribute,
)
_CONTEXT = {"sqrt": np.sqrt}


@dataclass(frozen=True)
class Terms:
    """A formula that has learnt its columns, category levels and spline knots.

    Parameters
    ----------
    formula : str
        Right-hand side.
    spec : formulaic.ModelSpec
        Learnt state.
    columns : tuple of str
        Column names, ``Intercept`` first where there is one.
    """

    formula: str
    spec: Any
    columns: tuple[str, ...]

    @property
    def has_intercept(self) -> bool:
        """Whether the first column is the intercept.

        Returns
        -------
        bool
        """
        return "Intercept" in self.columns

    @property
    def stateful(self) -> bool:
        """Whether the columns depend on the training rows beyond centring and scaling.

        Returns
        -------
        bool
        """
        return any(name in _STATEFUL for name in _called(self.formula))

    def encode(self, frame: pd.DataFrame, where: str) -> np.ndarray:
        """Columns for a table.

        Parameters
        ----------
        frame : pandas.DataFrame
            Rows to encode.
        where : str
            Words for error messages, such as ``"tissue 'kidney'"``.

        Returns
        -------
        numpy.ndarray of shape (n_rows, n_columns)

        Raises
        ------
        UnknownCategoryError
            When a category was not in the training table.
        FormulaError
            When a value is not finite, such as the log of 0.
        """
        plain = _plain(frame, variables(self.formula))
        _check_levels(self.spec, plain, where)
        matrix = _matrix(self.spec, plain, where, self.formula)
        _check_finite(matrix, self.columns, self.formula, frame, where)
        return matrix

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as plain JSON.

        Returns
        -------
        dict
        """
        return {
            "formula": self.formula,
            "columns": list(self.columns),
            "transforms": _tagged(self.spec.transform_state),
            "levels": {
                factor: [_scalar(level) for level in state["categories"]]
                for factor, (_, state) in self.spec.encoder_state.items()
                if "categories" in state
            },
        }


def learn(formula: str, frame: pd.DataFrame, where: str) -> tuple[Terms, np.ndarray]:
    """Learn a formula's columns from training rows.

    Parameters
    ----------
    formula : str
        Right-hand side, without a tilde.
    frame : pandas.DataFrame
        Training rows.
    where : str
        Words for error messages.

    Returns
    -------
    terms : Terms
    matrix : numpy.ndarray of shape (n_rows, n_columns)

    Raises
    ------
    FormulaError
        When the formula does not parse, calls something that is not allowed, names a column
        that is not there, or gives a value that is not finite.
    """
    parsed = parse(formula, where)
    needed = variables(formula)
    for name in needed:
        if name not in frame.columns:
            close = difflib.get_close_matches(name, [str(c) for c in frame.columns], n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise FormulaError(
                f"formula {formula!r} ({where}) needs column {name!r}, which the table does not "
                f"have{hint}"
            )
    plain = _plain(frame, needed)
    try:
        with np.errstate(all="ignore"):  # what is not finite is reported below, by its row
            matrix = parsed.get_model_matrix(plain, na_action="ignore", context=_CONTEXT)
    except Exception as err:
        raise FormulaError(f"formula {formula!r} ({where}) cannot be evaluated: {err}") from err
    spec = matrix.model_spec
    terms = Terms(formula, spec, tuple(str(name) for name in matrix.columns))
    if not terms.columns:
        raise FormulaError(
            f"formula {formula!r} ({where}) has no column: write '1' for an intercept alone"
        )
    values = np.asarray(matrix, dtype=float)
    _check_finite(values, terms.columns, formula, frame, where)
    return terms, values


def restore(state: Mapping[str, Any]) -> Terms:
    """Terms from the state that `Terms.state` made.

    Parameters
    ----------
    state : mapping
        Plain JSON.

    Returns
    -------
    Terms

    Raises
    ------
    FormulaError
        When the state does not belong to its formula.
    """
    formula = str(state["formula"])
    parsed = parse(formula, "saved model")
    # formulaic's structure is rebuilt on made-up rows with the saved levels; the learnt numbers
    # (knots, means) are then put back in place of the made-up ones
    rows = max([8] + [2 * len(levels) for levels in state["levels"].values()])
    frame = pd.DataFrame({name: np.linspace(1.0, 2.0, rows) for name in variables(formula)})
    for factor, levels in state["levels"].items():
        for name in variables(factor):
            cells = [levels[row % len(levels)] for row in range(rows)]
            frame[name] = pd.Categorical(cells, categories=levels)
    spec = parsed.get_model_matrix(frame, na_action="ignore", context=_CONTEXT).model_spec
    spec.transform_state.update(_untagged(state["transforms"]))
    if list(spec.column_names) != list(state["columns"]):
        raise FormulaError(f"saved model: the columns of {formula!r} do not match its formula")
    return Terms(formula, spec, tuple(state["columns"]))


def parse(formula: str, where: str) -> Any:
    """Parsed right-hand side, after the allow-list.

    Parameters
    ----------
    formula : str
        Right-hand side.
    where : str
        Words for error messages.

    Returns
    -------
    formulaic.Formula

    Raises
    ------
    FormulaError
        When it does not parse or calls something that is not allowed.
    """
    from formulaic import Formula, SimpleFormula
    from formulaic.errors import FormulaInvalidError, FormulaSyntaxError

    try:
        parsed = Formula(formula)
    except (FormulaSyntaxError, FormulaInvalidError, SyntaxError) as err:
        detail = _without_colours(str(err))
        raise FormulaError(f"formula {formula!r} ({where}) does not parse: {detail}") from err
    if not isinstance(parsed, SimpleFormula):
        raise FormulaError(
            f"formula {formula!r} ({where}): write the right-hand side only; "
            "the response is an argument of its own"
        )
    for expression in _expressions(formula):
        _check_expression(expression, formula, where)
    return parsed


def variables(formula: str) -> list[str]:
    """Columns that a formula reads, sorted.

    Parameters
    ----------
    formula : str
        Right-hand side.

    Returns
    -------
    list of str
    """
    from formulaic import Formula

    names: set[str] = set()
    for term in Formula(formula):
        for factor in term.factors:
            if factor.eval_method.value == "lookup":
                names.add(str(factor.expr))
            else:
                tree, quoted = _tree(str(factor.expr), formula, "model")
                found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
                names |= {quoted.get(name, name) for name in found - FUNCTIONS - {"np"}}
    return sorted(names)


def _expressions(formula: str) -> set[str]:
    """Factors that are evaluated as Python, as opposed to looked up as a column."""
    from formulaic import Formula

    factors = (factor for term in Formula(formula) for factor in term.factors)
    return {str(f.expr) for f in factors if f.eval_method.value != "lookup"}


def _called(formula: str) -> set[str]:
    names = set()
    for expression in _expressions(formula):
        tree, _ = _tree(expression, formula, "model")
        calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
        names |= {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    return names


def _tree(expression: str, formula: str, where: str) -> tuple[ast.Expression, dict[str, str]]:
    """Syntax tree of an expression, `quoted names` replaced, and what they stand for."""
    quoted: dict[str, str] = {}

    def stand_in(match: re.Match[str]) -> str:
        name = f"quoted_name_{len(quoted)}"
        quoted[name] = match[1]
        return name

    try:
        tree = ast.parse(re.sub(r"`([^`]*)`", stand_in, expression), mode="eval")
    except SyntaxError as err:
        raise FormulaError(
            f"formula {formula!r} ({where}): {expression!r} does not parse: {err.msg}"
        ) from err
    return tree, quoted


def _check_expression(expression: str, formula: str, where: str) -> None:
    tree, _ = _tree(expression, formula, where)
    for node in ast.walk(tree):
        allowed = isinstance(node, _NODES)
        if isinstance(node, ast.Call):
            allowed = isinstance(node.func, ast.Attribute) or (
                isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS
            )
        elif isinstance(node, ast.Attribute):
            allowed = (
                isinstance(node.value, ast.Name)
                and node.value.id == "np"
                and node.attr in _NUMPY_FUNCTIONS
            )
        if not allowed:
            raise FormulaError(
                f"formula {formula!r} ({where}): {ast.unparse(node)!r} is not allowed; use column "
                f"names, arithmetic and {', '.join(sorted(FUNCTIONS))}"
            )


def _plain(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Only the columns asked for, 0/1 instead of booleans, and no numbers hidden in text."""
    out = {}
    for name in names:
        column = frame[name]
        if column.dtype == bool:
            column = column.astype(int)
        if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
            numbers = pd.to_numeric(column, errors="coerce").notna() & column.notna()
            if numbers.any():
                row = numbers.index[numbers][0]
                raise FormulaError(
                    f"column {name!r} holds text, at row {row} {column[row]!r}: make it a number "
                    "column, or words for a category"
                )
        out[name] = column.reset_index(drop=True)
    return pd.DataFrame(out, index=range(len(frame)))


def _matrix(spec: Any, frame: pd.DataFrame, where: str, formula: str) -> np.ndarray:
    try:
        with np.errstate(all="ignore"):
            matrix = spec.get_model_matrix(frame, na_action="ignore", context=_CONTEXT)
    except Exception as err:
        raise FormulaError(f"formula {formula!r} ({where}) cannot be evaluated: {err}") from err
    return np.asarray(matrix, dtype=float).reshape(len(frame), -1)


def _check_levels(spec: Any, frame: pd.DataFrame, where: str) -> None:
    for factor, (_, state) in spec.encoder_state.items():
        if "categories" not in state:
            continue
        levels = list(state["categories"])
        for name in variables(str(factor)):
            unseen = sorted({str(v) for v in frame[name].unique() if v not in levels})
            if unseen:
                raise UnknownCategoryError(
                    f"column {name!r} ({where}) has {unseen[0]!r}, which the training table did "
                    f"not have; it had {', '.join(str(level) for level in levels)}"
                )


def _check_finite(
    matrix: np.ndarray, columns: tuple[str, ...], formula: str, frame: pd.DataFrame, where: str
) -> None:
    bad = ~np.isfinite(matrix)
    if not bad.any():
        return
    row, column = (int(i) for i in np.argwhere(bad)[0])
    shown = [*(n for n in ("patient_id", "site_id") if n in frame.columns), *variables(formula)]
    cells = ", ".join(f"{name} = {frame[name].iloc[row]}" for name in shown)
    raise FormulaError(
        f"formula {formula!r} ({where}): column {columns[column]!r} is "
        f"{matrix[row, column]} at row {frame.index[row]}, where {cells}; a logarithm needs "
        "values above 0"
    )


def _without_colours(text: str) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _tagged(value: Any) -> Any:
    # JSON keys are text, formulaic's are numbers in places: keep a dict as a list of pairs
    if isinstance(value, Mapping):
        return {"pairs": [[_scalar(k), _tagged(v)] for k, v in value.items()]}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist()}
    if isinstance(value, list | tuple):
        return {"list": [_tagged(v) for v in value]}
    return _scalar(value)


def _untagged(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "pairs" in value:
            return {k: _untagged(v) for k, v in value["pairs"]}
        if "array" in value:
            return np.asarray(value["array"])
        return [_untagged(v) for v in value["list"]]
    return value
