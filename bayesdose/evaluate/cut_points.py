"""Cut-offs of a risk, learnt from rows that they remember, or stated beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate._arrays import Floats, as_sites, check_same_order
from bayesdose.evaluate._follow_up import check_follow_up

_NAMES = {2: ("low", "high"), 3: ("low", "intermediate", "high")}
_QUANTILES = {"median": (1 / 2,), "tertiles": (1 / 3, 2 / 3)}
Kind = Literal["median", "tertiles"] | Sequence[float]


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of rows to know them again: hashes of their risks, no patient data.

    Attributes
    ----------
    hashes : frozenset of int
        One of each distinct risk.
    whole : str
        Hash of all risks in order of size.
    tied : float, from 0 to 1
        Share of rows with the risk of another row.
    """

    hashes: frozenset[int]
    whole: str
    tied: float

    @classmethod
    def of(cls, risk: Floats) -> "Fingerprint":
        """Make the fingerprint of rows.

        Parameters
        ----------
        risk : ndarray of float, shape (n,)
            Risks.

        Returns
        -------
        Fingerprint
        """
        values, counts = np.unique(risk + 0.0, return_counts=True)
        whole = blake2b(np.sort(risk + 0.0).tobytes(), digest_size=16).hexdigest()
        tied = float(counts[counts > 1].sum() / risk.size)
        return cls(frozenset(_hash(value) for value in values), whole, tied)

    def shares_rows(self, risk: Floats) -> bool:
        """Whether rows seem to be among those of the fingerprint.

        Parameters
        ----------
        risk : ndarray of float, shape (n,)
            Risks of rows, by the same model.

        Returns
        -------
        bool
            True for the very same set of risks, and where more risks are known than ties between
            different patients explain (their share, and three standard deviations).
        """
        if Fingerprint.of(risk).whole == self.whole:
            return True
        known = sum(_hash(value) in self.hashes for value in risk + 0.0)
        spread = np.sqrt(risk.size * self.tied * (1.0 - self.tied))
        return bool(known > risk.size * self.tied + 3.0 * spread)


@dataclass(frozen=True)
class CutOffs:
    """Cut-offs of a risk, made by `cut_offs`, `tuned_cut_off` or `CutOffs.stated`.

    Attributes
    ----------
    values : tuple of float, unit of the risk
        Ascending; a row whose risk reaches a cut-off belongs to the higher group.
    kind : {"stated", "quantiles", "tuned"}
        Known beforehand, quantiles of the risks of some rows, or tuned on the outcomes of some.
    learnt_on : Fingerprint or None
        Those rows; None for stated ones.
    """

    values: tuple[float, ...]
    kind: Literal["stated", "quantiles", "tuned"]
    learnt_on: Fingerprint | None = field(default=None, repr=False)

    @classmethod
    def stated(cls, values: ArrayLike) -> "CutOffs":
        """Cut-offs known from elsewhere, such as published ones.

        Parameters
        ----------
        values : array_like of float, shape (n_cut_offs,), unit of the risk
            Ascending.

        Returns
        -------
        CutOffs

        Raises
        ------
        BayesdoseError
            When they are not finite numbers.
        ConfigError
            When they do not ascend.
        """
        cuts = as_sites(np.atleast_1d(np.asarray(values)), "cut_offs")
        if (np.diff(cuts) <= 0).any():
            raise ConfigError(f"cut-offs must ascend; got {listed(cuts)}.")
        return cls(tuple(cuts.tolist()), "stated")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the groups, lowest risk first."""
        n = len(self.values) + 1
        return _NAMES.get(n, tuple(f"group {i + 1} of {n}" for i in range(n)))

    def label(self, risk: ArrayLike) -> pd.Categorical:
        """Group of each row.

        Parameters
        ----------
        risk : array_like of float, shape (n,)
            Higher for worse.

        Returns
        -------
        pandas.Categorical
            Ordered, lowest risk first.

        Raises
        ------
        BayesdoseError
            When a risk is not finite.
        """
        codes = np.searchsorted(self.values, as_sites(risk, "risk"), side="right")
        return pd.Categorical.from_codes(codes, categories=list(self.names), ordered=True)


def cut_offs(risk: ArrayLike, kind: Kind = "median") -> CutOffs:
    """Cut a risk at its quantiles.

    Parameters
    ----------
    risk : array_like of float, shape (n,)
        Risks of the rows to learn on: training rows, so that those shown are others.
    kind : {"median", "tertiles"} or sequence of float between 0 and 1
        Two groups, three, or those between the given quantiles.

    Returns
    -------
    CutOffs

    Raises
    ------
    BayesdoseError
        When a risk is not finite, or risks are so tied that a group has no rows.
    ConfigError
        When `kind` is neither a known word nor ascending quantiles between 0 and 1.
    """
    risks = as_sites(risk, "risk")
    quantiles = _quantiles(kind)
    cuts = np.quantile(risks, quantiles)
    # a quantile that is the risk of a row may miss it by rounding, and part the row from itself
    near = risks[np.abs(risks[:, None] - cuts).argmin(axis=0)]
    cuts = np.where(np.isclose(cuts, near, rtol=1e-12, atol=0.0), near, cuts)
    sizes = np.bincount(np.searchsorted(cuts, risks, side="right"), minlength=cuts.size + 1)
    if (np.diff(cuts) <= 0).any() or (sizes == 0).any():
        raise BayesdoseError(
            f"the {risks.size} risks have {np.unique(risks).size} distinct values, and cut-offs at "
            f"{listed(cuts)} leave groups of {', '.join(map(str, sizes))} rows. Ask for fewer "
            "groups, or state cut-offs between the values (`CutOffs.stated`)."
        )
    return CutOffs(tuple(cuts.tolist()), "quantiles", Fingerprint.of(risks))


def tuned_cut_off(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    *,
    shares: tuple[float, float] = (0.2, 0.8),
) -> CutOffs:
    """Cut a risk where the log-rank statistic is largest: for training rows only.

    Parameters
    ----------
    time : array_like of float, shape (n,), any unit
        Time of the event or of the end of follow-up, above 0.
    event : array_like of int or bool, shape (n,)
        1 or True for an event, 0 or False where follow-up ended without one.
    risk : array_like of float, shape (n,)
        Risks of the rows to learn on; each row a patient.
    shares : tuple of float
        Least and greatest share of rows in the low group.

    Returns
    -------
    CutOffs
        The lowest of the best, one of the risks.

    Raises
    ------
    BayesdoseError
        When times are not above 0, events are not 0 and 1, there are none, arrays differ in
        length, a risk is not finite, or ties leave no cut-off within `shares`.
    ConfigError
        When `shares` are not ascending within 0 and 1.

    Notes
    -----
    The log-rank p-value of the same rows is not valid: the largest of many statistics does not
    have the law of one (Altman 1994, J. Natl. Cancer Inst. 86:829, doi 10.1093/jnci/86.11.829;
    from memory).
    """
    check_same_order(time=time, event=event, risk=risk)
    times, events = check_follow_up(time, event)
    risks = as_sites(risk, "risk", n_sites=times.size)
    low, high = shares
    if not 0.0 <= low < high <= 1.0:
        raise ConfigError(f"`shares` must ascend from 0 or more to 1 or less; got {shares}.")
    if not events.any():
        raise BayesdoseError(
            f"none of the {times.size} rows has an event: there is nothing to tune a cut-off on."
        )
    values, n_below = np.unique(np.sort(risks), return_index=True)
    share = n_below / risks.size
    candidates = values[(n_below > 0) & (share >= low - 1e-12) & (share <= high + 1e-12)]
    if candidates.size == 0:
        raise BayesdoseError(
            f"no cut-off leaves {low:g} to {high:g} of the {risks.size} rows below it: the risks "
            f"have {values.size} distinct values. Widen `shares`, or state a cut-off."
        )
    best = candidates[int(np.argmax(_two_group_statistics(times, events, risks, candidates)))]
    return CutOffs((float(best),), "tuned", Fingerprint.of(risks))


def _two_group_statistics(
    time: Floats, event: NDArray[np.bool_], risk: Floats, cuts: Floats
) -> Floats:
    """Log-rank statistic of the rows at or above each ascending cut-off against the others."""
    when, at = np.unique(time, return_inverse=True)
    y = np.cumsum(np.bincount(at)[::-1])[::-1]
    d = np.bincount(at, weights=event)
    spread = d * (y - d) / np.maximum(y - 1, 1)
    part = np.searchsorted(cuts, risk, side="right")
    out = np.zeros(cuts.size)
    ending, observed = np.zeros(when.size), 0.0
    for k in range(cuts.size - 1, -1, -1):
        mine = part == k + 1
        ending += np.bincount(at[mine], minlength=when.size)
        observed += float(event[mine].sum())
        share = np.cumsum(ending[::-1])[::-1] / y
        variance = float((spread * share * (1.0 - share)).sum())
        away = observed - float((d * share).sum())
        out[k] = away**2 / variance if variance > 0 else 0.0
    return out


def _quantiles(kind: Kind) -> Floats:
    if isinstance(kind, str):
        if kind not in _QUANTILES:
            raise ConfigError(
                f"`kind` must be 'median', 'tertiles' or quantiles between 0 and 1; got {kind!r}."
            )
        return np.array(_QUANTILES[kind])
    quantiles = as_sites(np.asarray(kind), "kind")
    if ((quantiles <= 0) | (quantiles >= 1)).any() or (np.diff(quantiles) <= 0).any():
        raise ConfigError(
            f"`kind` must be 'median', 'tertiles' or ascending quantiles between 0 and 1; got "
            f"{listed(quantiles)}."
        )
    return quantiles


def _hash(value: np.float64) -> int:
    return int.from_bytes(blake2b(value.tobytes(), digest_size=8).digest(), "big")


def listed(values: ArrayLike) -> str:
    """Write cut-offs for people.

    Parameters
    ----------
    values : array_like of float
        Cut-offs.

    Returns
    -------
    str
        With six digits and commas.
    """
    return ", ".join(f"{value:.6g}" for value in np.asarray(values))
