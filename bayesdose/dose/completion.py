"""Complete a site table many times: draws of its missing numbers given everything else.

The table's numbers, log dose among them, are taken as jointly normal within and between patients
(`bayesdose.dose.multilevel`), positive columns on the log scale. Rows that are not in training are
completed from what they have by the same law, without teaching it anything, and without their dose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesdose.cohort.schema import column_of
from bayesdose.dose import covariates, design, multilevel
from bayesdose.dose.multilevel import Law, Layers, State
from bayesdose.dose.spec import ONE_TISSUE, ModelSpec
from bayesdose.errors import MissingCovariateError

IMPUTATIONS = 20
#: Completions, for each imputation, of rows to predict.
REPEATS = 10
#: Rounds of the sampler before the first imputation, between two, and for rows to predict.
_WARMUP, _BETWEEN, _SETTLE = 200, 20, 60
_LOG_DOSE = "bayesdose_log_dose"
_COPY = "bayesdose_copy"


@dataclass(frozen=True)
class _Columns:
    """What belongs where, learnt from the training rows, and its scale.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    tissues : tuple of str
    needed : dict of list of str
        Tissue → columns that its rows must have.
    of_patient, of_cycle : list of str
        Numbers with one value for each patient, or for each patient and cycle.
    of_row : dict of list of str
        Tissue → numbers that differ between its rows, log dose last.
    logged : set of str
        Columns taken on the log scale.
    center, scale : dict of float
        By (tissue or "", column), on the log scale of those.
    """

    spec: ModelSpec
    tissues: tuple[str, ...]
    needed: dict[str, list[str]]
    of_patient: list[str]
    of_cycle: list[str]
    of_row: dict[str, list[str]]
    logged: set[str]
    center: dict[tuple[str, str], float]
    scale: dict[tuple[str, str], float]

    def back(self, tissue: str, name: str, z: pd.Series) -> pd.Series:
        """Standardised values on the column's own scale.

        Parameters
        ----------
        tissue, name : str
            Key of the scale.
        z : pandas.Series

        Returns
        -------
        pandas.Series
        """
        value = z * self.scale[tissue, name] + self.center[tissue, name]
        return np.exp(value) if name in self.logged else value


def completions(training: pd.DataFrame, spec: ModelSpec, seed: int) -> list[pd.DataFrame]:
    """Complete a training table many times.

    Parameters
    ----------
    training : pandas.DataFrame
        Site table with measured doses.
    spec : ModelSpec
        The model.
    seed : int
        Seed.

    Returns
    -------
    list of pandas.DataFrame
        One an imputation.
    """
    return [first for first, _ in _imputations(training, training.iloc[:0], spec, seed, 1)]


def completions_of_others(
    training: pd.DataFrame, other: pd.DataFrame, spec: ModelSpec, seed: int, repeats: int
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Complete a training table and, from what it teaches, further rows without their dose.

    Parameters
    ----------
    training : pandas.DataFrame
        Site table with measured doses.
    other : pandas.DataFrame
        Rows to complete; their dose is not looked at.
    spec : ModelSpec
        The model.
    seed : int
        Seed; the training table is completed as `completions` does, unless a column that is
        positive in training is not so here, and then keeps its own scale.
    repeats : int
        Completions of the other rows for each of the training table; one where they have no gaps.

    Returns
    -------
    training : list of pandas.DataFrame
        M, one an imputation.
    other : list of pandas.DataFrame
        Table j goes with imputation j modulo M.
    """
    tissues = [str(word) for word in other[spec.by].unique()] if spec.by else [ONE_TISSUE]
    needed = _names(covariates.needed_columns(spec, tissues))
    if not other[[name for name in needed if name in other.columns]].isna().any(axis=None):
        repeats = 1
    pairs = _imputations(training, other, spec, seed, repeats)
    return [first for first, _ in pairs], [
        pairs[m][1][r] for r in range(repeats) for m in range(len(pairs))
    ]


def missing_share(frame: pd.DataFrame, spec: ModelSpec) -> dict[str, float]:
    """Share of the rows in which each needed covariate is missing.

    Parameters
    ----------
    frame : pandas.DataFrame
        Training table.
    spec : ModelSpec
        The model.

    Returns
    -------
    dict of float

    Raises
    ------
    MissingCovariateError
        When a column with gaps holds words.
    """
    tissues = design.tissues_of(frame, spec)
    missing = covariates.missing_covariates(
        frame, spec, tissues, design.tissue_codes(frame, spec, tissues)
    )
    for name, mask in missing.items():
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise MissingCovariateError(
                f"missing='impute' completes numbers; column {name!r} holds words and is missing "
                f"in {int(mask.sum())} rows: fill it in, or leave it out of the formula"
            )
    return {name: float(mask.mean()) for name, mask in missing.items()}


def _imputations(
    training: pd.DataFrame, other: pd.DataFrame, spec: ModelSpec, seed: int, repeats: int
) -> list[tuple[pd.DataFrame, list[pd.DataFrame]]]:
    table = training.reset_index(drop=True)
    columns = _columns(table, other, spec)
    rng, rng_of_others = np.random.default_rng(seed).spawn(2)
    layers = _layers(table, columns)
    state, law = multilevel.start(layers)
    copies = _copies(other, spec, repeats)
    of_copies = _layers(copies, columns, like=layers) if len(copies) else None
    found = []
    for m in range(IMPUTATIONS):
        for _ in range(_BETWEEN if m else _WARMUP):
            state = multilevel.draw_effects(layers, state, law, rng)
            law = multilevel.draw_law(layers, state, law, rng)
        # the gaps once more, by the law that the other rows are completed with
        state = multilevel.draw_effects(layers, state, law, rng)
        first = _filled(table, columns, layers, state).set_axis(training.index)
        second = []
        if of_copies is not None:
            drawn = _others(of_copies, law, rng_of_others)
            done = _filled(copies, columns, of_copies, drawn)
            copy = done.pop(_COPY).to_numpy()
            second = [done[copy == r].set_axis(other.index) for r in range(repeats)]
        found.append((first, second))
    return found


def _copies(other: pd.DataFrame, spec: ModelSpec, repeats: int) -> pd.DataFrame:
    """The rows several times over, without their dose, as rows of different patients."""
    parts = [other.assign(**{_COPY: r, spec.response: np.nan}) for r in range(repeats)]
    return pd.concat(parts, ignore_index=True)


def _others(layers: Layers, law: Law, rng: np.random.Generator) -> State:
    state, _ = multilevel.start(layers)
    for _ in range(_SETTLE if any(layers.repeated_sites) else 1):
        state = multilevel.draw_effects(layers, state, law, rng)
    return state


def _columns(training: pd.DataFrame, other: pd.DataFrame, spec: ModelSpec) -> _Columns:
    tissues = design.tissues_of(training, spec)
    needed = covariates.needed_columns(spec, tissues)
    patient, unit = _keys(training, spec)
    numbers = [n for n in _names(needed) if _is_number(training, n)]
    of_patient: list[str] = []
    of_cycle: list[str] = []
    for name in numbers:
        values, known = training[name], column_of(name)
        # of a column that the schema does not know: all rows of a cycle alike, gaps included
        alike = (values.groupby(unit).nunique(dropna=False) <= 1).all()
        if alike or (known is not None and known.per_cycle):
            # a number that no patient has two values of does not change between cycles
            same = (values.groupby(patient).nunique() <= 1).all()
            (of_patient if same else of_cycle).append(name)
    code = design.tissue_codes(training, spec, tissues)
    for k, tissue in enumerate(tissues):
        for name in needed[tissue]:
            if name in training.columns:
                _check_can_be_imputed(training.loc[code == k, name], tissue)
    shared = {*of_patient, *of_cycle}
    of_row = {t: [n for n in numbers if n in needed[t] and n not in shared] for t in tissues}
    both = pd.concat([training, other], ignore_index=True)
    logged = {n for n in numbers if (both[n].dropna() > 0).all()}
    found = _Columns(spec, tissues, needed, of_patient, of_cycle, of_row, logged, {}, {})
    for name in shared:
        _learn_scale(found, "", name, _on_scale(training, name, found).groupby(unit).first())
    for k, tissue in enumerate(tissues):
        of_row[tissue].append(_LOG_DOSE)
        for name in of_row[tissue]:
            _learn_scale(found, tissue, name, _on_scale(training, name, found)[code == k])
    return found


def _check_can_be_imputed(values: pd.Series, tissue: str) -> None:
    known = values.dropna().unique()
    if values.isna().any() and len(known) < 2:
        what = "is missing in every row" if len(known) == 0 else f"is {known[0]:g} or missing"
        raise MissingCovariateError(
            f"column {values.name!r} {what} of tissue {tissue!r}: nothing says how it varies. Fill "
            "it in, or leave it out of the formula"
        )


def _learn_scale(columns: _Columns, tissue: str, name: str, values: pd.Series) -> None:
    spread = float(values.std())
    columns.center[tissue, name] = float(values.mean()) if values.notna().any() else 0.0
    columns.scale[tissue, name] = spread if spread > 0 else 1.0


def _layers(frame: pd.DataFrame, columns: _Columns, like: Layers | None = None) -> Layers:
    """The table as arrays; its effects are those of ``like`` where it is given."""
    patient, unit = _keys(frame, columns.spec)
    label = frame["site_id"] if "site_id" in frame.columns else pd.Series(frame.index)
    all_sites = pd.factorize(pd.MultiIndex.from_arrays([patient, label.astype(str)]))[0]
    code = design.tissue_codes(frame, columns.spec, columns.tissues)
    rows, units, sites = [], [], []
    for k, tissue in enumerate(columns.tissues):
        mine = code == k
        names = columns.of_row[tissue]
        rows.append(_standardised(frame[mine], columns, tissue, names).to_numpy())
        units.append(unit[mine].to_numpy())
        sites.append(pd.factorize(all_sites[mine])[0])
    if like is not None and not like.repeated_cycles:
        patient = unit  # cycles that training did not see side by side stand alone
    patient_of_unit = patient.groupby(unit).first().to_numpy()
    shared = [columns.of_cycle, columns.of_patient]
    of_unit, of_patient = (_standardised(frame, columns, "", names) for names in shared)
    several = len(patient_of_unit) > patient_of_unit.max() + 1
    again = tuple(len(site) > site.max(initial=-1) + 1 for site in sites)
    return Layers(
        tuple(rows),
        tuple(units),
        tuple(sites),
        patient_of_unit,
        of_unit.groupby(unit).first().to_numpy(),
        of_patient.groupby(patient).first().to_numpy(),
        several if like is None else like.repeated_cycles,
        again if like is None else like.repeated_sites,
    )


def _filled(frame: pd.DataFrame, columns: _Columns, layers: Layers, state: State) -> pd.DataFrame:
    """The table with its gaps drawn; only what its tissues' formulas need."""
    out = frame.copy()
    patient, unit = _keys(frame, columns.spec)
    n_a, n_v, n_w = state.a.shape[1], layers.of_unit.shape[1], layers.of_patient.shape[1]
    of_unit = pd.DataFrame(state.a[:, n_a - n_v :], columns=columns.of_cycle)
    b = state.b[layers.patient]
    of_unit[columns.of_patient] = b[:, b.shape[1] - n_w :]
    code = design.tissue_codes(frame, columns.spec, columns.tissues)
    for k, tissue in enumerate(columns.tissues):
        mine = frame.index[code == k]
        for name in columns.needed[tissue]:
            if name not in frame.columns or not frame.loc[mine, name].isna().any():
                continue
            if name in of_unit:
                drawn = columns.back("", name, unit[mine].map(of_unit[name]))
                key = patient if name in columns.of_patient else unit
                known = frame[name].groupby(key).transform("first")[mine]
                drawn = known.where(known.notna(), drawn)
            else:
                z = state.rows[k][:, columns.of_row[tissue].index(name)]
                drawn = columns.back(tissue, name, pd.Series(z, mine))
            out.loc[mine, name] = frame.loc[mine, name].where(frame.loc[mine, name].notna(), drawn)
    return out


def _standardised(
    frame: pd.DataFrame, columns: _Columns, tissue: str, names: Sequence[str]
) -> pd.DataFrame:
    out = {
        name: (_on_scale(frame, name, columns) - columns.center[tissue, name])
        / columns.scale[tissue, name]
        for name in names
    }
    return pd.DataFrame(out, index=frame.index, columns=list(names), dtype=float)


def _on_scale(frame: pd.DataFrame, name: str, columns: _Columns) -> pd.Series:
    if name == _LOG_DOSE:
        spec = columns.spec
        dose = np.log(frame[spec.response].astype(float))
        return dose - np.log(frame[spec.activity].astype(float)) if spec.activity else dose
    values = frame[name].astype(float)
    return np.log(values) if name in columns.logged else values


def _keys(frame: pd.DataFrame, spec: ModelSpec) -> tuple[pd.Series, pd.Series]:
    """Number of each row's patient, and of its patient and cycle; copies are other patients."""
    cycle = frame[design.CYCLE] if design.CYCLE in frame.columns else pd.Series(1, frame.index)
    copy = frame[_COPY] if _COPY in frame.columns else pd.Series(0, frame.index)
    names = [copy, frame[spec.patient].astype(str)]
    patient = pd.factorize(pd.MultiIndex.from_arrays(names))[0]
    unit = pd.factorize(pd.MultiIndex.from_arrays([*names, cycle]))[0]
    return pd.Series(patient, frame.index), pd.Series(unit, frame.index)


def _names(needed: Mapping[str, Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in needed.values() for name in names))


def _is_number(frame: pd.DataFrame, name: str) -> bool:
    return name in frame.columns and pd.api.types.is_numeric_dtype(frame[name])
