"""Compare dose models by leave-one-patient-out, and say what choosing among them costs.

The model that is best under leave-one-patient-out was chosen with the patients that it is scored
on, so its elpd is too good. Nested leave-one-patient-out scores the choice itself: patient i is
predicted by the model that is best among the other patients,

    m(i) = argmax_m Σ_{j≠i} log p_m(y_j | y without i and j),
    nested elpd = Σ_i log p_m(i)(y_i | y without i),    optimism = best elpd − nested elpd.
"""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesdose._progress import shows_bar
from bayesdose.dose.leave_one_out import LeaveOneOut, fold_labels
from bayesdose.dose.model import DoseModel
from bayesdose.dose.training import Training, needs_training
from bayesdose.errors import BayesdoseError, ConfigError

if TYPE_CHECKING:
    import arviz_stats as azs

#: Patients below which a standard error over patients is not to be relied on; a convention.
FEW_PATIENTS = 20

_log = logging.getLogger("bayesdose")


@dataclass(frozen=True)
class ModelComparison:
    """Dose models ranked by leave-one-patient-out; prints as a table with its caveats.

    Parameters
    ----------
    table : pandas.DataFrame
        By model, best first: rank, elpd, se (over patients), mcse (Monte-Carlo error of elpd),
        difference (elpd minus that of the best: 0 or below), difference_se (paired, over
        patients), n_patients, n_sites.
    differences : pandas.DataFrame
        elpd of each patient minus that under the best model; patients by models.
    lopo : dict of LeaveOneOut
        Validation of each model.
    choices : pandas.DataFrame or None
        Nested validation by patient: chosen (the model that is best without that patient),
        elpd (of the patient under it), runner_up, lead (elpd of the chosen minus that of the
        runner-up, over the other patients). None when it was not asked for.
    left_out : tuple of str
        Patients that not every model could be scored on; they are in no figure.
    """

    table: pd.DataFrame
    differences: pd.DataFrame
    lopo: dict[str, LeaveOneOut]
    choices: pd.DataFrame | None
    left_out: tuple[str, ...]

    @property
    def best(self) -> str:
        """Name of the model with the highest elpd.

        Returns
        -------
        str
        """
        return str(self.table.index[0])

    @property
    def nested_elpd(self) -> float:
        """Sum over patients of the elpd under the model chosen without them.

        Returns
        -------
        float
            NaN when nested validation was not asked for, or without some patient no model could
            be fitted.
        """
        if self.choices is None:
            return float("nan")
        return float(self.choices["elpd"].sum(skipna=False))

    @property
    def optimism(self) -> float:
        """What choosing the model on the same patients adds to its elpd: best minus nested.

        Returns
        -------
        float
            NaN as for ``nested_elpd``.
        """
        return float(self.table["elpd"].iloc[0]) - self.nested_elpd

    def to_arviz(self) -> "dict[str, azs.ELPDData]":
        """Results for ``arviz.compare``, with one value for each patient.

        Returns
        -------
        dict of arviz_stats.ELPDData
        """
        return {name: found.to_arviz() for name, found in self.lopo.items()}

    def __str__(self) -> str:
        n = int(self.table["n_patients"].iloc[0])
        shown = self.table.drop(columns=["n_patients", "n_sites"])
        lines = [
            f"Leave-one-patient-out over {n} patients; elpd of their joint doses in Gy, higher is "
            "better",
            shown.to_string(float_format="{:.2f}".format),
        ]
        if n < FEW_PATIENTS:
            lines.append(
                f"A standard error over {n} patients (fewer than {FEW_PATIENTS}) is unreliable: a "
                "difference of two of them proves nothing."
            )
        if self.left_out:
            lines.append(f"Not every model could be scored on: {', '.join(self.left_out)}.")
        if self.choices is not None:
            times = self.choices["chosen"].value_counts()
            words = ", ".join(f"{name} {count} times" for name, count in times.items())
            lines.append(
                f"Choosing on the same patients: elpd {self.table['elpd'].iloc[0]:.2f} for "
                f"{self.best}; when each patient is scored by the model chosen without it "
                f"{self.nested_elpd:.2f} ({words}). Optimism: {self.optimism:.2f}."
            )
        return "\n".join(lines)

    __repr__ = __str__


def compare_models(
    models: Mapping[str, DoseModel], *, nested: bool = True, progress: bool | None = None
) -> ModelComparison:
    """Compare fitted dose models by exact leave-one-patient-out.

    Parameters
    ----------
    models : dict of DoseModel
        Name → model; all fitted to the same rows.
    nested : bool
        Whether to choose the model anew without each patient, which shows the optimism of
        choosing on the same patients; costs a fit and a validation of every model for every
        patient.
    progress : bool, optional
        Progress bar of the nested fits; by default on a terminal only.

    Returns
    -------
    ModelComparison

    Raises
    ------
    ConfigError
        When there are fewer than two models, or they were not fitted to the same rows, or, for
        ``nested``, there are fewer than three patients.
    PredictionError
        When a model was saved without its rows.
    """
    _check(models, nested)
    lopo = {}
    for name, model in models.items():
        _log.info("compare_models: leave-one-patient-out of %r", name)
        lopo[name] = model.leave_one_patient_out()
    by_patient = _elpd({name: found.patients for name, found in lopo.items()})
    scored = by_patient.dropna()
    left_out = tuple(str(label) for label in by_patient.index if label not in scored.index)
    if len(scored) < 2:
        raise ConfigError(
            "fewer than two patients could be scored under every model; the status column of "
            "each model's leave_one_patient_out().patients says why"
        )
    table = _table(scored, lopo)
    differences = scored.sub(scored[table.index[0]], axis=0)[list(table.index)]
    choices = _choices(models, scored, progress) if nested else None
    return ModelComparison(table, differences, lopo, choices, left_out)


def _check(models: Mapping[str, DoseModel], nested: bool) -> None:
    if not isinstance(models, Mapping) or len(models) < 2:
        raise ConfigError("compare_models: give a dict of at least two models, name → DoseModel")
    for name, model in models.items():
        if not isinstance(model, DoseModel):
            raise ConfigError(
                f"compare_models: {name!r} is a {type(model).__name__}; give a fitted DoseModel"
            )
    trainings = {
        name: needs_training(model._state(), f"comparing {name!r}")
        for name, model in models.items()
    }
    first, *others = trainings
    wanted = _row_keys(trainings[first])
    for name in others:
        found = _row_keys(trainings[name])
        if found != wanted:
            raise ConfigError(
                f"compare_models: {name!r} was fitted to other rows than {first!r} ("
                f"{_first_difference(wanted, found)}); densities compare only where patients, "
                "doses in Gy and censoring are the same. Fit every model to one table, without "
                "missing='drop'"
            )
    n_patients = len(trainings[first].rows.patients)
    if nested and n_patients < 3:
        raise ConfigError(
            f"compare_models: there are {n_patients} patients; choosing without each needs three "
            "or more: give nested=False"
        )


def _row_keys(training: Training) -> list[tuple[str, float, bool]]:
    rows = training.rows
    labels = [rows.patients[code] for code in rows.patient]
    doses = np.exp(rows.log_dose).round(9).tolist()
    return sorted(zip(labels, doses, rows.censored.tolist(), strict=True))


def _first_difference(
    wanted: list[tuple[str, float, bool]], found: list[tuple[str, float, bool]]
) -> str:
    if len(found) != len(wanted):
        return f"{len(found)} against {len(wanted)}"
    ours, theirs = next(pair for pair in zip(found, wanted, strict=True) if pair[0] != pair[1])
    return f"patient {ours[0]!r} {ours[1]:g} against patient {theirs[0]!r} {theirs[1]:g}"


def _elpd(patients: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Elpd by patient and model; NaN where a model scored fewer of the patient's sites."""
    elpd = pd.DataFrame({name: table["elpd"] for name, table in patients.items()})
    n_scored = pd.DataFrame({name: table["n_scored"] for name, table in patients.items()})
    return elpd.where(n_scored.eq(n_scored.max(axis=1), axis=0))


def _table(scored: pd.DataFrame, lopo: Mapping[str, LeaveOneOut]) -> pd.DataFrame:
    n = len(scored)
    order = scored.sum().sort_values(ascending=False, kind="stable").index
    away = scored.sub(scored[order[0]], axis=0)
    patients = {name: lopo[name].patients.loc[scored.index] for name in order}
    return pd.DataFrame(
        {
            "rank": range(1, len(order) + 1),
            "elpd": [scored[name].sum() for name in order],
            "se": [np.sqrt(n) * scored[name].std(ddof=1) for name in order],
            "mcse": [np.sqrt((patients[name]["mcse"] ** 2).sum()) for name in order],
            "difference": [away[name].sum() for name in order],
            "difference_se": [np.sqrt(n) * away[name].std(ddof=1) for name in order],
            "n_patients": n,
            "n_sites": [int(patients[name]["n_scored"].sum()) for name in order],
        },
        index=pd.Index(order, name="model"),
    )


def _choices(
    models: Mapping[str, DoseModel], scored: pd.DataFrame, progress: bool | None
) -> pd.DataFrame:
    from tqdm.auto import tqdm

    rows = []
    hidden = not shows_bar(progress)
    for label in tqdm(scored.index, desc="nested leave-one-patient-out", disable=hidden):
        inner = {}
        for name, model in models.items():
            found = _patients_without(model, label)
            if found is not None:
                inner[name] = found
        choice = _choose(_elpd(inner))
        _log.info("compare_models: without %r the best is %r", label, choice["chosen"])
        elpd = scored.loc[label].get(choice["chosen"], np.nan)
        rows.append({"chosen": choice["chosen"], "elpd": elpd, **choice})
    return pd.DataFrame(rows, index=scored.index)


def _patients_without(model: DoseModel, label: str) -> pd.DataFrame | None:
    """Validation of a model among the other patients; None where it cannot be fitted to them."""
    fitted = model._state()
    spec, info = fitted.encoding.spec, fitted.info
    kept = fold_labels(needs_training(fitted, "nested validation"), spec.patient) != label
    with warnings.catch_warnings():
        # the fit to all patients has said what is odd about the table or a fold
        warnings.simplefilter("ignore", UserWarning)
        try:
            without = type(model)(**model.get_params()).fit(
                needs_training(fitted, "nested validation").frame[kept],
                draws=info["draws"],
                random_seed=info["random_seed"],
                sampler=info["sampler"] if spec.engine == "pymc" else "auto",
                device=info["device"],
            )
            return without.leave_one_patient_out().patients
        except BayesdoseError as err:
            _log.warning("compare_models: a model cannot be fitted without %r: %s", label, err)
            return None


def _choose(inner: pd.DataFrame) -> dict[str, object]:
    """Best model over the patients that all the models which work can be scored on."""
    totals = inner.dropna(axis=1, how="all").dropna().sum(min_count=1).dropna()
    order = totals.sort_values(ascending=False, kind="stable")
    names = [*order.index, None, None]
    lead = order.iloc[0] - order.iloc[1] if len(order) > 1 else np.nan
    return {"chosen": names[0], "runner_up": names[1], "lead": float(lead)}
