"""From a checked site table to arrays: the only place of the dose model that reads a DataFrame.

`learn` fixes, from the training rows, what every later table is encoded with: columns, category
levels, centring and scaling, group levels. `Encoding.rows` gives `Rows`, plain arrays that the
engines, predictions and folds share.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.dose import formulas
from bayesdose.dose.covariates import check_covariates, formula_of
from bayesdose.dose.formulas import Terms
from bayesdose.dose.spec import ONE_TISSUE, ModelSpec
from bayesdose.dose.standardise import Standardisation, standardisation_of, standardised
from bayesdose.errors import FormulaError, UnknownCategoryError

CYCLE = "cycle"

#: Label activity of 177Lu-PSMA-617 a cycle; centres default intercepts of a model without activity.
LABEL_ACTIVITY_GBQ = 7.4


@dataclass(frozen=True)
class Rows:
    """A site table as arrays; n rows, p coefficients, q patient effects.

    Parameters
    ----------
    x : numpy.ndarray of shape (n, p)
        Standardised columns, zero outside the row's tissue; group indicators last.
    raw : numpy.ndarray of shape (n, p)
        The same before centring and scaling.
    z : numpy.ndarray of shape (n, q)
        Columns of the patient effects, zero outside the row's tissue, on their own scale.
    tissue, patient, cycle, site : numpy.ndarray of int of shape (n,)
        Codes; ``cycle`` and ``site`` count (patient, cycle) and (patient, site) pairs.
    groups : numpy.ndarray of int of shape (n, n_groups)
        Level of each group effect; -1, -2, ... for levels that were not in the training table.
    log_activity : numpy.ndarray of shape (n,), log GBq
        0 where the model has no activity.
    log_dose : numpy.ndarray of shape (n,), log Gy
        NaN where the dose was not measured.
    own_var, shared_var : numpy.ndarray of shape (n,)
        Known variances of the measurement on the log scale, log(1 + cv²).
    censored : numpy.ndarray of bool of shape (n,)
        Whether the dose is only known to lie below the value.
    patients : tuple of str
        Labels behind ``patient``.
    """

    x: np.ndarray
    raw: np.ndarray
    z: np.ndarray
    tissue: np.ndarray
    patient: np.ndarray
    cycle: np.ndarray
    site: np.ndarray
    groups: np.ndarray
    log_activity: np.ndarray
    log_dose: np.ndarray
    own_var: np.ndarray
    shared_var: np.ndarray
    censored: np.ndarray
    patients: tuple[str, ...]

    @property
    def y(self) -> np.ndarray:
        """Log dose per activity.

        Returns
        -------
        numpy.ndarray of shape (n,), log(Gy/GBq)
        """
        return self.log_dose - self.log_activity

    def take(self, index: np.ndarray) -> "Rows":
        """Some of the rows, with their codes and patient labels as they are.

        Parameters
        ----------
        index : numpy.ndarray
            Positions or a mask.

        Returns
        -------
        Rows
        """
        arrays = {name: value[index] for name, value in vars(self).items() if name != "patients"}
        return Rows(**arrays, patients=self.patients)

    def spread(self, mask: np.ndarray) -> "Rows":
        """These rows at their places in a longer table, whose other rows are not to be used.

        Parameters
        ----------
        mask : numpy.ndarray of bool
            Their places in the longer table.

        Returns
        -------
        Rows
        """
        place = np.zeros(len(mask), int)
        place[mask] = np.arange(mask.sum())
        return self.take(place)

    def compact(self) -> "Rows":
        """The same rows with patients, cycles and sites counted anew from 0.

        Returns
        -------
        Rows
        """
        present, patient = np.unique(self.patient, return_inverse=True)
        return replace(
            self,
            patient=patient,
            cycle=np.unique(self.cycle, return_inverse=True)[1],
            site=np.unique(self.site, return_inverse=True)[1],
            patients=tuple(self.patients[i] for i in present),
        )


@dataclass(frozen=True)
class Encoding:
    """What was learnt from the training table; encodes any later one.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    tissues : tuple of str
        Tissue labels.
    terms : tuple of Terms
        Formula of each tissue.
    patient_terms : Terms or None
        Formula inside the patient; None for no patient effects.
    cycle_trend : tuple of bool
        Tissues with a fixed term for the cycle.
    cycle_effect, site_effect : tuple of bool
        Tissues with patient-by-cycle and with site effects.
    group_levels : tuple of tuple of str
        Levels of each group effect.
    standardisation : Standardisation
        Of the training rows.
    log_activity : float, log GBq
        Median over the training rows; added to default intercepts when the model has no
        activity.
    """

    spec: ModelSpec
    tissues: tuple[str, ...]
    terms: tuple[Terms, ...]
    patient_terms: Terms | None
    cycle_trend: tuple[bool, ...]
    cycle_effect: tuple[bool, ...]
    site_effect: tuple[bool, ...]
    group_levels: tuple[tuple[str, ...], ...]
    standardisation: Standardisation
    log_activity: float

    def columns(self, tissue: int) -> list[str]:
        """Names of a tissue's covariate columns.

        Parameters
        ----------
        tissue : int
            Tissue code.

        Returns
        -------
        list of str
        """
        trend = [CYCLE] if self.cycle_trend[tissue] else []
        return [*self.terms[tissue].columns, *trend]

    @property
    def blocks(self) -> list[slice]:
        """Positions of each tissue's covariate columns among the coefficients.

        Returns
        -------
        list of slice
        """
        ends = np.cumsum([len(self.columns(k)) for k in range(len(self.tissues))])
        return [slice(int(e) - len(self.columns(k)), int(e)) for k, e in enumerate(ends)]

    @property
    def n_covariates(self) -> int:
        """Number of coefficients that are not group effects.

        Returns
        -------
        int
        """
        return self.blocks[-1].stop

    @property
    def group_blocks(self) -> list[slice]:
        """Positions of each group effect's columns, level within tissue.

        Returns
        -------
        list of slice
        """
        sizes = [len(levels) * len(self.tissues) for levels in self.group_levels]
        ends = self.n_covariates + np.cumsum([0, *sizes])
        return [slice(int(a), int(b)) for a, b in pairwise(ends)]

    @property
    def n_coefficients(self) -> int:
        """Number of coefficients, group effects included.

        Returns
        -------
        int
        """
        blocks = self.group_blocks
        return blocks[-1].stop if blocks else self.n_covariates

    @property
    def patient_effects(self) -> list[str]:
        """Labels of the patient effects, ``tissue:column``.

        Returns
        -------
        list of str
        """
        if self.patient_terms is None:
            return []
        return [f"{t}:{name}" for t in self.tissues for name in self.patient_terms.columns]

    def intercepts(self) -> list[int | None]:
        """Position of each tissue's intercept.

        Returns
        -------
        list of int or None
        """
        return [
            block.start if terms.has_intercept else None
            for block, terms in zip(self.blocks, self.terms, strict=True)
        ]

    def rows(self, frame: pd.DataFrame) -> Rows:
        """Encode a table with what was learnt.

        Parameters
        ----------
        frame : pandas.DataFrame
            A validated site table with the training table's columns.

        Returns
        -------
        Rows

        Raises
        ------
        UnknownCategoryError
            When a tissue or a category was not in the training table.
        MissingCovariateError
            When a covariate is missing.
        FormulaError
            When a column is missing or gives a value that is not finite.
        """
        spec = self.spec
        tissue = tissue_codes(frame, spec, self.tissues)
        check_covariates(frame, spec, self.tissues, tissue)
        x_raw = np.zeros((len(frame), self.n_coefficients))
        for k, (terms, block) in enumerate(zip(self.terms, self.blocks, strict=True)):
            mine = tissue == k
            if mine.any():
                encoded = terms.encode(frame[mine], _where(spec, self.tissues[k]))
                x_raw[mine, block] = _with_trend(encoded, frame[mine], self.cycle_trend[k])
        groups = _group_codes(frame, spec, self.group_levels)
        _set_group_columns(x_raw, groups, tissue, self)
        return Rows(
            x=standardised(x_raw, tissue, self, self.standardisation),
            raw=x_raw,
            z=_patient_columns(frame, tissue, self),
            tissue=tissue,
            groups=groups,
            **_labels(frame, spec),
            **_measurements(frame, spec),
        )


def learn(
    frame: pd.DataFrame,
    spec: ModelSpec,
    *,
    group_levels: tuple[tuple[str, ...], ...] | None = None,
) -> tuple[Encoding, Rows]:
    """Learn columns, levels and scales from the training table.

    Parameters
    ----------
    frame : pandas.DataFrame
        A validated site table.
    spec : ModelSpec
        The model.
    group_levels : tuple of tuple of str, optional
        Levels of each group effect, where a fold has lost some of the whole table's; its own when
        None.

    Returns
    -------
    encoding : Encoding
    rows : Rows

    Raises
    ------
    FormulaError
        When a formula does not fit the table, or its columns are constant or collinear.
    MissingCovariateError
        When a covariate is missing.
    """
    tissues = tissues_of(frame, spec)
    named = spec.formula if isinstance(spec.formula, Mapping) else ()
    spec.priors.check_tissues(sorted({*tissues, *named}))
    code = tissue_codes(frame, spec, tissues)
    check_covariates(frame, spec, tissues, code)
    repeats = [_repeats(frame[code == k], spec) for k in range(len(tissues))]
    terms, blocks = [], []
    for k, tissue in enumerate(tissues):
        text = formula_of(spec, tissue)
        learnt, columns = formulas.learn(text, frame[code == k], _where(spec, tissue))
        trend = repeats[k][0] and CYCLE not in formulas.variables(text)
        terms.append(learnt)
        blocks.append(_with_trend(columns, frame[code == k], trend))
    encoding = Encoding(
        spec=spec,
        tissues=tissues,
        terms=tuple(terms),
        patient_terms=_learn_patient_terms(frame, spec),
        cycle_trend=tuple(
            columns.shape[1] > len(t.columns) for columns, t in zip(blocks, terms, strict=True)
        ),
        cycle_effect=tuple(cycles for cycles, _ in repeats),
        site_effect=tuple(sites for _, sites in repeats),
        group_levels=group_levels or tuple(_levels(frame, name) for name in spec.group_effects),
        standardisation=Standardisation(np.zeros(0), np.ones(0)),
        log_activity=median_log_activity(frame, spec),
    )
    raw = np.zeros((len(frame), encoding.n_coefficients))
    for k, (columns, block) in enumerate(zip(blocks, encoding.blocks, strict=True)):
        raw[code == k, block] = columns
    scaling = standardisation_of(raw, code, encoding)
    encoding = replace(encoding, standardisation=scaling)
    _check_columns(raw, code, encoding)
    groups = _group_codes(frame, spec, encoding.group_levels)
    _set_group_columns(raw, groups, code, encoding)
    rows = Rows(
        x=standardised(raw, code, encoding, scaling),
        raw=raw,
        z=_patient_columns(frame, code, encoding),
        tissue=code,
        groups=groups,
        **_labels(frame, spec),
        **_measurements(frame, spec),
    )
    return encoding, rows


def patients_per_tissue(encoding: Encoding, rows: Rows) -> list[int]:
    """Patients with each tissue; 1 for a tissue without any, whose priors no data meet.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    rows : Rows
        Training rows.

    Returns
    -------
    list of int
    """
    codes = range(len(encoding.tissues))
    return [max(1, len(set(rows.patient[rows.tissue == k]))) for k in codes]


def tissues_of(frame: pd.DataFrame, spec: ModelSpec) -> tuple[str, ...]:
    """Tissues of the training table, in the order of the formulas or of appearance.

    Parameters
    ----------
    frame : pandas.DataFrame
        Training table.
    spec : ModelSpec
        The model.

    Returns
    -------
    tuple of str

    Raises
    ------
    FormulaError
        When the formulas and the table name different tissues.
    """
    if spec.by is None:
        return (ONE_TISSUE,)
    present = [str(word) for word in frame[spec.by].unique()]
    for word in present:
        _check_no_slash(word, "tissue")
    if not isinstance(spec.formula, Mapping):
        return tuple(present)
    for word in present:
        if word not in spec.formula:
            raise FormulaError(
                f"tissue {word!r} is in the table but has no formula; formulas are given for "
                f"{', '.join(spec.formula)}. Add one, or leave these rows out"
            )
    absent = [word for word in spec.formula if word not in present]
    if absent:
        warnings.warn(
            f"a formula is given for tissue {absent[0]!r}, which has no rows; the model leaves it "
            f"out. The table has {', '.join(present)}",
            stacklevel=2,
        )
    return tuple(word for word in spec.formula if word in present)


def _where(spec: ModelSpec, tissue: str) -> str:
    return "all rows" if spec.by is None else f"tissue {tissue!r}"


def tissue_codes(frame: pd.DataFrame, spec: ModelSpec, tissues: Sequence[str]) -> np.ndarray:
    """Number of each row's tissue.

    Parameters
    ----------
    frame : pandas.DataFrame
        Site table.
    spec : ModelSpec
        The model.
    tissues : sequence of str
        Tissues of the training table.

    Returns
    -------
    numpy.ndarray of int of shape (n,)

    Raises
    ------
    UnknownCategoryError
        When a row's tissue is not among them.
    """
    if spec.by is None:
        return np.zeros(len(frame), int)
    place = {word: k for k, word in enumerate(tissues)}
    words = frame[spec.by].astype(str)
    unseen = sorted(set(words) - set(place))
    if unseen:
        row = words.index[words == unseen[0]][0]
        raise UnknownCategoryError(
            f"tissue {unseen[0]!r} (row {row}) was not in the training table; it had "
            f"{', '.join(tissues)}"
        )
    return words.map(place).to_numpy(int)


def _learn_patient_terms(frame: pd.DataFrame, spec: ModelSpec) -> Terms | None:
    if spec.patient_effects.strip() == "0":
        return None
    return formulas.learn(spec.patient_effects, frame, "patient effects")[0]


def _patient_columns(frame: pd.DataFrame, tissue: np.ndarray, encoding: Encoding) -> np.ndarray:
    terms = encoding.patient_terms
    if terms is None:
        return np.zeros((len(frame), 0))
    width = len(terms.columns)
    out = np.zeros((len(frame), width * len(encoding.tissues)))
    columns = terms.encode(frame, "patient effects")
    for k in range(len(encoding.tissues)):
        out[tissue == k, k * width : (k + 1) * width] = columns[tissue == k]
    return out


def _with_trend(columns: np.ndarray, frame: pd.DataFrame, trend: bool) -> np.ndarray:
    if not trend:
        return columns
    return np.column_stack([columns, frame[CYCLE].to_numpy(float)])


def _repeats(frame: pd.DataFrame, spec: ModelSpec) -> tuple[bool, bool]:
    """Whether a patient has several cycles of this tissue, and a site several of them."""
    if CYCLE not in frame.columns:
        return False, False
    cycles = bool((frame.groupby(spec.patient)[CYCLE].nunique() > 1).any())
    if not cycles or "site_id" not in frame.columns:
        return cycles, False
    return True, bool((frame.groupby([spec.patient, "site_id"])[CYCLE].nunique() > 1).any())


def _check_no_slash(name: str, what: str) -> None:
    """The posterior has variables with these names, and its groups are parted by slashes."""
    if "/" in name:
        raise FormulaError(
            f"{what} {name!r} has a slash, which cannot be in the name of a posterior's variable: "
            "call it something else in the table"
        )


def _levels(frame: pd.DataFrame, name: str) -> tuple[str, ...]:
    _check_no_slash(name, "group_effects column")
    if name not in frame.columns:
        raise FormulaError(f"group_effects names column {name!r}, which the table does not have")
    return tuple(sorted(str(level) for level in frame[name].dropna().unique()))


def _group_codes(
    frame: pd.DataFrame, spec: ModelSpec, levels: Sequence[tuple[str, ...]]
) -> np.ndarray:
    out = np.full((len(frame), len(levels)), -1)
    for g, (name, words) in enumerate(zip(spec.group_effects, levels, strict=True)):
        if name not in frame.columns:
            raise FormulaError(
                f"group_effects names column {name!r}, which the table does not have"
            )
        place = {word: i for i, word in enumerate(words)}
        unseen = dict.fromkeys(str(v) for v in frame[name] if str(v) not in place)
        place |= {word: -1 - i for i, word in enumerate(unseen)}
        out[:, g] = [place[str(value)] for value in frame[name]]
    return out


def _set_group_columns(
    raw: np.ndarray, groups: np.ndarray, tissue: np.ndarray, encoding: Encoding
) -> None:
    for g, block in enumerate(encoding.group_blocks):
        known = groups[:, g] >= 0
        column = block.start + tissue * len(encoding.group_levels[g]) + groups[:, g]
        raw[known, column[known]] = 1.0


def _labels(frame: pd.DataFrame, spec: ModelSpec) -> dict[str, Any]:
    patient, labels = pd.factorize(frame[spec.patient].astype(str))
    cycle = frame[CYCLE] if CYCLE in frame.columns else pd.Series(1, index=frame.index)
    site = frame["site_id"] if "site_id" in frame.columns else pd.Series(range(len(frame)))
    return {
        "patient": patient,
        "patients": tuple(labels),
        "cycle": _pair_codes(patient, cycle),
        "site": _pair_codes(patient, site),
    }


def _pair_codes(patient: np.ndarray, label: pd.Series) -> np.ndarray:
    pairs = pd.MultiIndex.from_arrays([patient, label.astype(str).to_numpy()])
    return pd.factorize(pairs)[0]


def _measurements(frame: pd.DataFrame, spec: ModelSpec) -> dict[str, Any]:
    n = len(frame)

    def column(name: str | None, default: float) -> np.ndarray:
        if name is None:
            return np.full(n, default)
        if name not in frame.columns:
            raise FormulaError(f"column {name!r} is named by the model but not in the table")
        return frame[name].to_numpy(float)

    dose = frame[spec.response] if spec.response in frame.columns else pd.Series(np.nan, range(n))
    censored = column(spec.censored, 0.0).astype(bool)
    return {
        "log_activity": np.log(column(spec.activity, 1.0)),
        "log_dose": np.log(dose.to_numpy(float)),
        "own_var": np.log1p(column(spec.dose_cv, 0.0) ** 2),
        "shared_var": np.log1p(column(spec.dose_cv_shared, 0.0) ** 2),
        "censored": censored,
    }


def median_log_activity(frame: pd.DataFrame, spec: ModelSpec) -> float:
    """Log of the median activity, where the model has no activity of its own.

    Parameters
    ----------
    frame : pandas.DataFrame
        Training rows.
    spec : ModelSpec
        The model.

    Returns
    -------
    float, log GBq
    """
    if spec.activity is not None:
        return 0.0
    name = "administered_activity_gbq"
    if name not in frame.columns:
        return float(np.log(LABEL_ACTIVITY_GBQ))
    return float(np.log(frame[name].median()))


def _check_columns(raw: np.ndarray, tissue: np.ndarray, encoding: Encoding) -> None:
    scaling = encoding.standardisation
    for k, block in enumerate(encoding.blocks):
        where = _where(encoding.spec, encoding.tissues[k])
        names = encoding.columns(k)
        for place in scaling.constant:
            if block.start <= place < block.stop:
                value = raw[tissue == k, place][0]
                raise FormulaError(
                    f"column {names[place - block.start]!r} ({where}) is {value:g} in every row: "
                    "a constant covariate cannot be told from the intercept; leave it out"
                )
        columns = standardised(raw, tissue, encoding, scaling)[tissue == k, block]
        _check_rank(columns, names, where, encoding, k)


def _check_rank(
    columns: np.ndarray, names: list[str], where: str, encoding: Encoding, tissue: int
) -> None:
    from bayesdose.dose.priors import Flat

    label = encoding.tissues[tissue]
    flat = [
        name
        for name in names
        if isinstance(
            encoding.spec.priors.resolve("intercept" if name == "Intercept" else "slope", label),
            Flat,
        )
    ]
    if len(flat) > len(columns):
        raise FormulaError(
            f"{len(flat)} coefficients with a flat prior but {len(columns)} rows ({where}): "
            "give proper priors, or fewer terms"
        )
    for j in range(1, len(names)):
        earlier, column = columns[:, :j], columns[:, j]
        if len(columns) <= j:
            break  # fewer rows than columns: the proper prior decides, nothing is collinear by name
        fit, *_ = np.linalg.lstsq(earlier, column, rcond=None)
        left = np.linalg.norm(column - earlier @ fit)
        if left < 1e-8 * max(np.linalg.norm(column), 1e-300):
            twins = [names[i] for i in range(j) if abs(fit[i]) > 1e-6]
            raise FormulaError(
                f"column {names[j]!r} ({where}) is a combination of {', '.join(twins)}: "
                "leave one of them out"
            )
