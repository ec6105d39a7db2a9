"""Where the training table has been: flags rows that a prediction would have to extrapolate to."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.dose.design import CYCLE, Encoding, Rows

#: Columns whose value describes how a row was made; a value not seen in training is flagged.
PROTOCOL = ("pet_tracer", "therapy_ligand", "centre", "scanner", "dose_method")


@dataclass(frozen=True)
class Domain:
    """Ranges, leverage and protocol values of the training table.

    Parameters
    ----------
    low, high : list of float
        Range of each coefficient's column before scaling, in its tissue's rows.
    inverse : list of list of list of float
        (X'X)⁻¹ of each tissue, standardised columns; pseudo-inverse.
    max_leverage : list of float
        Largest x'(X'X)⁻¹x among a tissue's training rows.
    seen : dict of list of str
        Protocol column → values.
    cycles : list of int
        Therapy cycles.
    activity_gbq : list of float
        Smallest and largest administered activity; empty in a model without activity.
    """

    low: list[float]
    high: list[float]
    inverse: list[list[list[float]]]
    max_leverage: list[float]
    seen: dict[str, list[str]]
    cycles: list[int]
    activity_gbq: list[float]

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for JSON.

        Returns
        -------
        dict
        """
        return asdict(self)


def learn(encoding: Encoding, rows: Rows, frame: pd.DataFrame) -> Domain:
    """Domain of a training table.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    rows : Rows
        Training rows.
    frame : pandas.DataFrame
        The same rows as a table.

    Returns
    -------
    Domain
    """
    low = np.zeros(encoding.n_coefficients)
    high = np.zeros(encoding.n_coefficients)
    inverse, largest = [], []
    for k, block in enumerate(encoding.blocks):
        mine = rows.tissue == k
        low[block], high[block] = rows.raw[mine, block].min(0), rows.raw[mine, block].max(0)
        x = rows.x[mine, block]
        inverse.append(np.linalg.pinv(x.T @ x).tolist())
        largest.append(float(_leverage(x, np.asarray(inverse[-1])).max()))
    seen = {
        name: sorted({str(value) for value in frame[name].dropna()})
        for name in PROTOCOL
        if name in frame.columns
    }
    cycles = sorted({int(c) for c in frame[CYCLE]}) if CYCLE in frame.columns else [1]
    name = encoding.spec.activity
    activity = [] if name is None else [float(frame[name].min()), float(frame[name].max())]
    return Domain(low.tolist(), high.tolist(), inverse, largest, seen, cycles, activity)


def reasons(domain: Domain, encoding: Encoding, rows: Rows, frame: pd.DataFrame) -> list[str]:
    """Why each row lies outside the training table; empty text where it does not.

    Parameters
    ----------
    domain : Domain
        Of the training table.
    encoding : Encoding
        Learnt model.
    rows : Rows
        Rows to predict.
    frame : pandas.DataFrame
        The same rows as a table.

    Returns
    -------
    list of str
    """
    found: list[list[str]] = [[] for _ in rows.tissue]
    for k, block in enumerate(encoding.blocks):
        mine = np.flatnonzero(rows.tissue == k)
        raw = rows.raw[mine, block]
        for j, name in enumerate(encoding.columns(k)):
            low, high = domain.low[block.start + j], domain.high[block.start + j]
            slack = 1e-9 * max(1.0, abs(low), abs(high))
            outside = (raw[:, j] < low - slack) | (raw[:, j] > high + slack)
            for i in mine[outside]:
                value = rows.raw[i, block.start + j]
                found[i].append(f"{name} = {value:.4g} outside {low:.4g} to {high:.4g}")
        leverage = _leverage(rows.x[mine, block], np.asarray(domain.inverse[k]))
        above = leverage > domain.max_leverage[k] * (1 + 1e-9)
        for i, value in zip(mine[above], leverage[above], strict=True):
            if not found[i]:
                found[i].append(
                    f"combination of covariates unlike any in training (leverage {value:.3g} "
                    f"above {domain.max_leverage[k]:.3g})"
                )
    _protocol(found, domain.seen, frame)
    for i, cycle in enumerate(frame[CYCLE] if CYCLE in frame.columns else []):
        if int(cycle) not in domain.cycles:
            found[i].append(f"cycle {int(cycle)} not in training")
    return ["; ".join(words) for words in found]


def _protocol(found: list[list[str]], seen: Mapping[str, list[str]], frame: pd.DataFrame) -> None:
    for name, values in seen.items():
        if name not in frame.columns:
            continue
        texts = frame[name].map(str)
        new = frame[name].notna() & ~texts.isin(values)
        for i in np.flatnonzero(new):
            found[i].append(f"{name} {texts.iloc[i]} not in training")


def leverage(domain: Domain, encoding: Encoding, rows: Rows) -> np.ndarray:
    """Leverage x'(X'X)⁻¹x of each row in its tissue's training rows.

    Parameters
    ----------
    domain : Domain
        Of the training table.
    encoding : Encoding
        Learnt model.
    rows : Rows
        Rows.

    Returns
    -------
    numpy.ndarray of shape (n,)
    """
    out = np.zeros(len(rows.tissue))
    for k, block in enumerate(encoding.blocks):
        mine = rows.tissue == k
        out[mine] = _leverage(rows.x[mine, block], np.asarray(domain.inverse[k]))
    return out


def _leverage(x: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    return np.einsum("ni,ij,nj->n", x, inverse, x)
