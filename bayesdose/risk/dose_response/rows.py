"""Doses at the door: exact, measured with error, or known by joint draws; in log Gy inside."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayesdose.errors import ConfigError, RiskError
from bayesdose.evaluate._arrays import Floats, as_numbers, as_sites, group_codes
from bayesdose.risk.cox.columns import Ints
from bayesdose.risk.cox.uncertain import checked_draws

#: Share of the variance of measured log doses that must be left as true differences.
_LEAST_TRUE = 0.05


@dataclass(frozen=True)
class Doses:
    """Doses of rows.

    Parameters
    ----------
    log_gy : ndarray of shape (n,), log Gy
        Measured, or medians of draws.
    error_sd : ndarray of shape (n,) or None
        Standard deviation of measured log doses about the true ones.
    draws : ndarray of shape (n_draws, n), log Gy, or None
    """

    log_gy: Floats
    error_sd: Floats | None = None
    draws: Floats | None = None

    @property
    def kind(self) -> str:
        """How the doses are known.

        Returns
        -------
        str
            ``exact``, ``measured`` or ``drawn``.
        """
        if self.draws is not None:
            return "drawn"
        return "exact" if self.error_sd is None else "measured"


def read_doses(
    dose_gy: ArrayLike | None,
    draws: ArrayLike | None,
    dose_cv: ArrayLike | None = None,
    n_rows: int | None = None,
) -> Doses:
    """Doses as arrays, or one clear error.

    Parameters
    ----------
    dose_gy : array-like of shape (n,), Gy, or None
    draws : array-like of shape (n_draws, n), Gy, or None
        Or a DataArray of dims chain, draw and one more.
    dose_cv : float or array-like of shape (n,), or None
        Relative standard uncertainty of ``dose_gy``.
    n_rows : int, optional
        How many there must be.

    Returns
    -------
    Doses

    Raises
    ------
    ConfigError
        When not one of ``dose_gy`` and ``draws`` is given, or ``dose_cv`` with draws.
    RiskError, BayesdoseError
        When doses are not finite numbers above 0, or not as many as rows.
    """
    if draws is not None and dose_gy is None:
        if dose_cv is not None:
            raise ConfigError(
                "dose_cv belongs to measured doses; draws hold the uncertainty of predicted ones"
            )
        log_draws = np.log(_drawn(draws, n_rows))
        return Doses(np.median(log_draws, axis=0), None, log_draws)
    if dose_gy is None or draws is not None:
        raise ConfigError(
            "give the doses once: dose_gy where they are measured or known, or draws where they "
            f"are predicted (dose_gy=None); got {'neither' if draws is None else 'both'}"
        )
    log_gy = np.log(as_sites(dose_gy, "dose_gy", n_sites=n_rows, positive=True))
    return Doses(log_gy, None if dose_cv is None else _error_sd(dose_cv, log_gy))


def _drawn(draws: Any, n_rows: int | None) -> Floats:
    if {"chain", "draw"} <= set(getattr(draws, "dims", ())):
        draws = draws.transpose("chain", "draw", ...).to_numpy()
    if n_rows is None:
        n_rows = np.shape(draws)[-1] if np.ndim(draws) else 0
    array = checked_draws({"dose": draws}, n_rows)["dose"]
    bad = array <= 0
    if bad.any():
        draw, row = (int(k) for k in np.argwhere(bad)[0])
        raise RiskError(
            f"draws must be doses above 0 Gy; draw {draw} of row {row} is {array[draw, row]:g}. "
            "Are these draws of the log dose? Give exp of them"
        )
    return array


def _error_sd(dose_cv: ArrayLike, log_gy: Floats) -> Floats:
    """Standard deviations of log dose: sqrt(log(1 + c^2)) of a log-normal of relative sd c."""
    cv = as_numbers(dose_cv, "`dose_cv`", RiskError)
    if cv.ndim and cv.shape != log_gy.shape:
        raise RiskError(
            f"dose_cv must be one number, or one for each of the {log_gy.size} rows; got shape "
            f"{cv.shape}"
        )
    cv = np.broadcast_to(cv, log_gy.shape)
    bad = ~(np.isfinite(cv) & (cv >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise RiskError(
            f"dose_cv must be finite and not below 0; row {row} has {cv[row]} ({int(bad.sum())} "
            "such rows). It is a share of the dose, such as 0.2"
        )
    sd = np.sqrt(np.log1p(cv**2))
    seen, error = float(log_gy.var(ddof=1)) if log_gy.size > 1 else 0.0, float((sd**2).mean())
    if seen - error <= _LEAST_TRUE * seen:
        raise RiskError(
            f"dose_cv stands for a standard deviation of log dose of {np.sqrt(error):.3g}, and the "
            f"doses measured have one of {np.sqrt(seen):.3g}: almost nothing is left that could be "
            "true differences. Is dose_cv a share of the dose (0.2, not 20)?"
        )
    return sd


def check_spread(doses: Doses) -> None:
    """Refuse doses that do not differ.

    Parameters
    ----------
    doses : Doses

    Raises
    ------
    RiskError
        When all are the same.
    """
    if np.ptp(doses.log_gy) <= 1e-9:
        raise RiskError(
            f"the dose is {np.exp(doses.log_gy[0]):.4g} Gy in every row: rows of different doses "
            "are needed to see what dose does"
        )


def read_patients(patients: ArrayLike, n_rows: int, draws: Any) -> tuple[Ints, np.ndarray]:
    """Patient of each row.

    Parameters
    ----------
    patients : array-like of shape (n,)
        Labels.
    n_rows : int
    draws : object
        As the user gave them; a DataArray of `predict_draws` says whose its sites are.

    Returns
    -------
    codes : ndarray of int of shape (n,)
    labels : ndarray of object

    Raises
    ------
    RiskError
        When there is one patient, or the draws are of others.
    """
    codes, labels = group_codes(patients, n_rows, "patients")
    if labels.size < 2:
        raise RiskError(
            f"all {n_rows} rows are of patient {labels[0]!r}: a curve for other patients cannot be "
            "learnt from one. Give the patient of each row as patients, and pool patients"
        )
    coords = getattr(draws, "coords", {})
    if "patient_id" in coords:
        own = [str(label) for label in coords["patient_id"].to_numpy()]
        given = [str(label) for label in np.asarray(patients, dtype=object)]
        differ = [a != b for a, b in zip(own, given, strict=True)]
        if any(differ):
            row = differ.index(True)
            raise RiskError(
                f"row {row} is of patient {given[row]!r} in patients and of {own[row]!r} in draws: "
                "give draws, y and patients of the same rows in the same order"
            )
    return codes, labels
