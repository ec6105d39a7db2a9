"""From X and y to draws: columns, scales, risk sets, the mode, and NUTS where it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.dose import priors as p
from bayesdose.errors import PriorError, RiskError
from bayesdose.evaluate._arrays import Floats
from bayesdose.evaluate._outcome import Outcome
from bayesdose.risk.cox import baseline as splines
from bayesdose.risk.cox.columns import (
    Ints,
    codes_of,
    scaling,
)
from bayesdose.risk.cox.hazard import Hazards, SmoothHazards, kept_draws, step_hazards
from bayesdose.risk.cox.mode import Mode, find_mode
from bayesdose.risk.cox.partial_likelihood import RiskSets, risk_sets
from bayesdose.risk.cox.rows import Layout, Rows
from bayesdose.risk.cox.spec import CoxSpec
from bayesdose.risk.cox.uncertain import (
    DrawnColumns,
    drawn_columns,
    measured_column,
    true_spread,
)


@dataclass(frozen=True)
class CoxFit:
    """A fitted model.

    Parameters
    ----------
    layout : Layout
    center, scale : ndarray of shape (p,)
        Of the covariates.
    strata, centres : tuple of str
        Labels of training.
    follow_up : ndarray of shape (n_strata,)
        Longest time of each stratum.
    has_events : ndarray of bool of shape (n_strata,)
    values : dict of ndarray of shape (n_chains, n_draws, ...)
        Draws by the names of the density; coefficients per scale. Of a mode, draws from the normal
        approximation.
    stats : dict of ndarray of shape (n_chains, n_draws)
        Of the sampler; empty for a mode.
    kept : ndarray of int
        Draws, chain after chain, that have a baseline.
    baseline : callable
        Makes the baseline hazards of these draws.
    mode : Mode or None
        On the scaled covariates, where the mode is the estimate.
    mode_hazards : Hazards or None
        Baseline at the mode.
    unique_times : ndarray of shape (n_times,)
        Times of events.
    event_times : tuple of ndarray
        Times of all events, by stratum.
    row_index : pandas.Index
        Labels of the training rows.
    """

    layout: Layout
    center: Floats
    scale: Floats
    strata: tuple[str, ...]
    centres: tuple[str, ...]
    follow_up: Floats
    has_events: np.ndarray
    values: dict[str, Floats]
    stats: dict[str, np.ndarray]
    kept: Ints
    baseline: Callable[[], Hazards]
    mode: Mode | None
    mode_hazards: Hazards | None
    unique_times: Floats
    event_times: tuple[Floats, ...]
    row_index: pd.Index

    @cached_property
    def hazards(self) -> Hazards:
        """Baseline hazards, made when they are first asked for: ranking needs none.

        Returns
        -------
        Hazards
        """
        return self.baseline()

    def flat(self, name: str) -> Floats:
        """Draws of a parameter, chain after chain.

        Parameters
        ----------
        name : str

        Returns
        -------
        ndarray of shape (n_chains * n_draws, ...)
        """
        value = self.values[name]
        return value.reshape(-1, *value.shape[2:])


def fit(spec: CoxSpec, layout: Layout, rows: Rows, outcome: Outcome) -> CoxFit:
    """Fit.

    Parameters
    ----------
    spec : CoxSpec
    layout : Layout
    rows : Rows
    outcome : Outcome

    Returns
    -------
    CoxFit

    Raises
    ------
    RiskError
        When columns say nothing, or the events are separated under a flat prior.
    PriorError
        When a horseshoe expects as many slopes as there are, or a flat prior meets covariates
        that are not known exactly.
    """
    slope, size = spec.slope, len(layout.covariates)
    if isinstance(slope, p.Flat) and (layout.drawn or layout.measured):
        raise PriorError(
            "slope=Flat() with covariates that are not known exactly has no posterior: true values "
            "in the order of the events have a chance, so that no coefficient is too large. Take "
            "slope=Normal(0, 1)"
        )
    if layout.measured and outcome.start is not None and rows.groups is None:
        raise RiskError(
            "measurement_sd with rows from start to stop: rows of one patient share a measurement "
            "and its error. Give fit(X, y, groups=...) the patient of each row"
        )
    if isinstance(slope, p.RegularizedHorseshoe) and slope.expected_nonzero >= size:
        raise PriorError(f"slope={slope!r}: expected_nonzero must be below the {size} covariates")
    strata, centres = sorted(set(rows.strata)), sorted(set(rows.centres))
    stratum = codes_of(rows.strata, strata, "strata")
    drawn = drawn_columns(rows.draws) if rows.draws else None
    center, scale = _scales(layout, rows, drawn, stratum)
    x = (rows.columns.values - center) / scale
    sets = risk_sets(outcome, spec.ties, stratum)
    n_strata = len(strata)
    of_events = np.bincount(stratum[outcome.event], minlength=n_strata) > 0
    common = {
        "layout": layout,
        "center": center,
        "scale": scale,
        "strata": tuple(strata),
        "centres": tuple(centres),
        "follow_up": np.array([outcome.stop[stratum == s].max() for s in range(n_strata)]),
        "has_events": of_events,
        "unique_times": np.unique(outcome.stop[outcome.event]),
        "event_times": tuple(outcome.stop[outcome.event & (stratum == s)] for s in range(n_strata)),
        "row_index": rows.columns.index,
    }
    mode = _mode(spec, x, sets, scale, list(layout.covariates))
    if spec.inference == "mode":
        return _from_mode(spec, mode, x, sets, outcome, stratum, common)
    return _from_nuts(spec, mode, rows, drawn, x, sets, outcome, stratum, common)


def _scales(
    layout: Layout, rows: Rows, drawn: DrawnColumns | None, stratum: Ints
) -> tuple[Floats, Floats]:
    """Centres and scales; those of true values where they are not known exactly."""
    center, scale = scaling(rows.columns)
    for k, name in enumerate(layout.measured):
        j = layout.covariates.index(name)
        scale[j] = true_spread(name, rows.columns.values[:, j], rows.error_sd[k], stratum)
    if drawn is not None:
        places = [layout.covariates.index(name) for name in drawn.names]
        center[places] = drawn.mean
        scale[places] = drawn.sd
    return center, scale


def _prior_units(spec: CoxSpec, scale: Floats) -> Floats:
    """What the prior of each slope is per, in scales: one scale, or one unit of X."""
    return np.ones(scale.size) if spec.standardise else scale


def _mode(spec: CoxSpec, x: Floats, sets: RiskSets, scale: Floats, names: list[str]) -> Mode:
    """The mode, or for priors without one to hand a place for chains to begin."""
    if isinstance(spec.slope, p.Flat):
        return find_mode(x, sets, names=names)
    unit = _prior_units(spec, scale)
    known = isinstance(spec.slope, p.Normal)
    sigma, mean = (spec.slope.sigma, spec.slope.mu) if known else (1.0, 0.0)
    return find_mode(x, sets, (sigma * unit) ** -2.0, mean * unit, names)


def _from_mode(
    spec: CoxSpec,
    mode: Mode,
    x: Floats,
    sets: RiskSets,
    outcome: Outcome,
    stratum: Ints,
    common: dict[str, Any],
) -> CoxFit:
    rng = np.random.default_rng(spec.random_state)
    beta = rng.multivariate_normal(
        mode.coefficients, mode.covariance, spec.draws, method="cholesky"
    )
    kept = kept_draws(spec.draws, max(len(x), sets.first.size))
    n_strata = len(common["strata"])
    times = outcome.stop
    return CoxFit(
        **common,
        values={"beta": beta[None]},
        stats={},
        kept=kept,
        baseline=partial(
            _steps, sets, beta[kept], x.T, times, stratum, n_strata, spec.random_state
        ),
        mode=mode,
        mode_hazards=step_hazards(
            sets, (x @ mode.coefficients)[None], times, stratum, n_strata, None
        ),
    )


def _from_nuts(
    spec: CoxSpec,
    mode: Mode,
    rows: Rows,
    drawn: DrawnColumns | None,
    x: Floats,
    sets: RiskSets,
    outcome: Outcome,
    stratum: Ints,
    common: dict[str, Any],
) -> CoxFit:
    from bayesdose.dose.collapsed.engine import double_precision, find_device
    from bayesdose.risk.cox import sampling

    n, n_strata = len(x), len(common["strata"])
    size = sampling.rounded(n)
    structure, data = _problem(spec, rows, drawn, x, sets, outcome, stratum, common, size)
    shrinks = isinstance(spec.slope, p.RegularizedHorseshoe | p.R2D2)
    start = {} if shrinks else {"beta": mode.coefficients}
    with double_precision(find_device(spec.device)):
        found = sampling.sample(
            structure,
            data,
            start,
            chains=spec.chains,
            draws=-(-spec.draws // spec.chains),
            random_seed=spec.random_state,
            progress=spec.progress,
        )
    values = _without_padding(found.values, n)
    flat = values.pop("eta").reshape(-1, n)
    kept = kept_draws(len(flat), max(n, sets.first.size))
    baseline: Callable[[], Hazards]
    if spec.baseline is None:
        seed, times = spec.random_state, outcome.stop
        baseline = partial(_steps, sets, flat[kept], None, times, stratum, n_strata, seed)
    else:
        baseline = partial(_smooth, spec.baseline, values, kept, data["knots"])
    return CoxFit(
        **common,
        values=values,
        stats=found.stats,
        kept=kept,
        baseline=baseline,
        mode=None,
        mode_hazards=None,
    )


def _problem(
    spec: CoxSpec,
    rows: Rows,
    drawn: DrawnColumns | None,
    x: Floats,
    sets: RiskSets,
    outcome: Outcome,
    stratum: Ints,
    common: dict[str, Any],
    size: int,
) -> tuple[Any, dict[str, Any]]:
    """Structure and data of the density, padded."""
    from bayesdose.risk._drawn import padded_law
    from bayesdose.risk._sampling import padded
    from bayesdose.risk.cox.density import Structure
    from bayesdose.risk.cox.sampling import padded_sets

    layout, center, scale = common["layout"], common["center"], common["scale"]
    n = len(x)
    data: dict[str, Any] = {
        "x": padded(x, size),
        "counted": padded(np.ones(n), size),
        "unit": _prior_units(spec, scale),
        "n_events": float(outcome.event.sum()),
        "stratum": padded(stratum, size),
    }
    settings: dict[str, Any] = {"n_strata": len(common["strata"])}
    if layout.frailty:
        data["centre"] = padded(codes_of(rows.centres, common["centres"], "frailty"), size)
        settings |= {"n_centres": len(common["centres"]), "frailty_sd": spec.frailty_sd}
    if drawn is not None:
        places = [layout.covariates.index(name) for name in drawn.names]
        data |= padded_law(drawn, center[places], scale[places], size)
        settings |= {"drawn": tuple(places), "n_drawn": data["quantiles"].shape[1]}
    if layout.measured:
        places = [layout.covariates.index(name) for name in layout.measured]
        error_sd = rows.error_sd / scale[places, None]
        data |= _measured_data(x[:, places].T, error_sd, rows.groups, size)
        settings |= {"measured": tuple(places), "n_measured": data["measurement"].shape[1]}
    if spec.baseline is None:
        data["sets"], data["event_counted"] = padded_sets(sets, size)
    else:
        data |= _basis(spec.baseline, outcome, size)
        settings |= {
            "n_basis": spec.baseline.n_basis,
            "concentration": spec.baseline.concentration,
            "level": spec.baseline.level,
        }
    return Structure(spec.slope, x.shape[1], **settings), data


def _measured_data(
    values: Floats, error_sd: Floats, groups: Ints | None, size: int
) -> dict[str, Any]:
    from bayesdose.risk._sampling import padded, rounded

    columns = [
        measured_column(value, sd, groups) for value, sd in zip(values, error_sd, strict=True)
    ]
    longest = rounded(max(column.value.size for column in columns))
    error = np.stack([padded(column.error_sd, longest) for column in columns])
    return {
        "measurement": np.stack([padded(column.value, longest) for column in columns]),
        "error_sd": np.where(error > 0, error, 1.0),
        "measured_counted": np.where(error > 0, 1.0, 0.0),
        "measured_first": np.stack([padded(column.first, longest) for column in columns]),
        "measured_place": np.stack([padded(column.place, size) for column in columns]),
    }


def _basis(baseline: splines.Baseline, outcome: Outcome, size: int) -> dict[str, Floats]:
    from bayesdose.risk._sampling import padded

    end = float(outcome.stop.max())
    knots = splines.knots_of(baseline, outcome.stop[outcome.event], end)
    passed = splines.i_splines(knots, baseline.degree, outcome.stop)
    if outcome.start is not None:
        passed = passed - splines.i_splines(knots, baseline.degree, outcome.start)
    # weights of a hazard that integrates to 1 over follow-up scaled to (0, 1)
    hazard = splines.m_splines(knots, baseline.degree, outcome.stop) * end
    return {
        "event": padded(outcome.event.astype(float), size),
        "hazard_basis": padded(hazard, size),
        "cumulative_basis": padded(passed, size),
        "knots": knots,
    }


def _steps(
    sets: RiskSets,
    etas: Floats,
    columns: Floats | None,
    times: Floats,
    stratum: Ints,
    n_strata: int,
    random_state: int,
) -> Hazards:
    """Baseline of draws of linear predictors, or of coefficients and the columns they are for."""
    rng = np.random.default_rng([random_state, 1])
    etas = etas if columns is None else etas @ columns
    return step_hazards(sets, etas, times, stratum, n_strata, rng)


def _smooth(
    baseline: splines.Baseline, values: dict[str, Floats], kept: Ints, knots: Floats
) -> SmoothHazards:
    totals = np.exp(values["log_total_hazard"])
    totals = totals.reshape(-1, totals.shape[2])
    weights = values.get("baseline_weights")
    if weights is None:
        weights = np.ones((*values["log_total_hazard"].shape, 1))
    weights = weights.reshape(-1, *weights.shape[2:])
    return SmoothHazards(
        partial(splines.i_splines, knots, baseline.degree), totals[kept], weights[kept]
    )


def _without_padding(values: dict[str, Floats], n: int) -> dict[str, Floats]:
    """Draws of the rows that are there; standard normals behind them are of no use any more."""
    rows = ("eta", "drawn", "measured")
    aside = ("drawn_z", "measured_z", "beta_z", "frailty_z", "exposure_centre_z")
    return {
        name: value[..., :n] if name in rows else value
        for name, value in values.items()
        if not name.startswith(aside)
    }
