"""Regions of new patients under draws of a population, by quadrature on a grid."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from bayesdose.measure._numbers import Floats
from bayesdose.measure.kinetics.shape import Scans, log_density_of_contrasts, log_shape, rates

#: Draws of the population that regions are integrated under.
DRAWS = 400
#: Log half-life and log uptake half-life (h), where a region's box is looked for.
HALF_LIFE = np.arange(np.log(3.0), np.log(400.0), 0.06)
UPTAKE = np.linspace(np.log(0.02), np.log(60.0), 48)
#: Points of the grid inside a region's box.
FINE_HALF_LIFE, FINE_UPTAKE = 80, 40
#: The patient's effect in units of its standard deviation.
PATIENT = np.linspace(-4.5, 4.5, 91)
#: Log density below its top at which a box ends.
_DEPTH = 18.0
#: Times that a box is narrowed.
_ZOOMS = 3


@dataclass(frozen=True)
class _Grid:
    """Where a region may lie.

    Parameters
    ----------
    half_life, uptake : ndarray of shape (n_T,) and (n_U,), log h
    floor : ndarray of shape (n_scans,)
        Variance of a log activity below which the grid would miss it.
    """

    half_life: Floats
    uptake: Floats
    floor: Floats


@dataclass(frozen=True)
class _Drawn:
    """Some draws of the population, as they meet one region.

    Parameters
    ----------
    half_life, half_life_sd, uptake, uptake_sd : ndarray of shape (S,)
        Of the region's tissue.
    patient_sd, noise : ndarray of shape (S,)
    """

    half_life: Floats
    half_life_sd: Floats
    uptake: Floats
    uptake_sd: Floats
    patient_sd: Floats
    noise: Floats


def integrate_regions(
    scans: Scans, population: dict[str, Floats], decay: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Joint draws of every region's time-integrated activity and half-life.

    Parameters
    ----------
    scans : Scans
        Regions, with one scan or more.
    population : dict of ndarray
        As `sample_population` gives it.
    decay : float, 1/h
        Physical decay.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    log_tia, log_half_life : ndarray of shape (DRAWS, n_regions), log MBq h and log h
    """
    some = rng.choice(len(population["noise"]), DRAWS, replace=False)
    drawn = {name: values[some] for name, values in population.items()}
    log_tia = np.empty((DRAWS, len(scans.keys)))
    log_half_life = np.empty_like(log_tia)
    for patient in range(scans.patient.max() + 1):
        mine = [int(region) for region in np.flatnonzero(scans.patient == patient)]
        parts = [_of_region(drawn, int(scans.tissue[region])) for region in mine]
        grids = [_box(scans, *pair, decay) for pair in zip(mine, parts, strict=True)]
        seen = [_clearance(scans, *three, decay) for three in zip(mine, parts, grids, strict=True)]
        effect = _draw_effect(seen, parts, grids, rng)
        for region, one, grid, known in zip(mine, parts, grids, seen, strict=True):
            log_tia[:, region], log_half_life[:, region] = _draw_region(
                scans, region, one, grid, known, effect, decay, rng
            )
    return log_tia, log_half_life


def _of_region(drawn: dict[str, Floats], tissue: int) -> _Drawn:
    by_tissue = ("half_life", "half_life_sd", "uptake", "uptake_sd")
    return _Drawn(
        **{name: drawn[name][:, tissue] for name in by_tissue},
        patient_sd=drawn["patient_sd"],
        noise=drawn["noise"],
    )


def _box(scans: Scans, region: int, one: _Drawn, decay: float) -> _Grid:
    """A fine grid over what the scans and the population leave possible."""
    grid = _Grid(HALF_LIFE, UPTAKE, np.zeros(1))
    for _ in range(_ZOOMS):
        # the distance to the curves of a cell, not to its centre's: a cell that hides a narrow
        # peak must not be lost
        residual, blur = _cells(scans, region, grid, decay)
        weight = 1 / (np.median(one.noise) ** 2 + scans.noise_var[scans.region == region] + blur)
        level = (weight * residual).sum(2, keepdims=True) / weight.sum(2, keepdims=True)
        log_density = -0.5 * (weight * (residual - level) ** 2).sum(2)
        # the population's marginal, somewhat wider
        spread = one.half_life_sd**2 + one.patient_sd**2
        log_density += _wide(grid.half_life, one.half_life, spread)[:, None]
        log_density += _wide(grid.uptake, one.uptake, one.uptake_sd**2)
        inside = log_density > log_density.max() - _DEPTH
        grid = _Grid(
            _span(grid.half_life, inside.any(1), FINE_HALF_LIFE),
            _span(grid.uptake, inside.any(0), FINE_UPTAKE),
            np.zeros(1),
        )
    _, blur = _cells(scans, region, grid, decay)
    return replace(grid, floor=np.median(blur.reshape(-1, blur.shape[2]), axis=0))


def _cells(scans: Scans, region: int, grid: _Grid, decay: float) -> tuple[Floats, Floats]:
    """Residuals, and variance of half a step of the grid, of shape (n_T, n_U, n_scans)."""
    mine = scans.region == region
    slow, fast = rates(grid.half_life[:, None], grid.uptake, decay)
    shape = log_shape(slow[..., None], fast[..., None], scans.time_h[mine])
    # what is common to all scans goes into the level
    steps = np.array([np.gradient(shape, axis=axis) for axis in (0, 1)])
    blur = ((steps - steps.mean(3, keepdims=True)) ** 2).sum(0) / 4
    return scans.log_activity[mine] - shape, blur


def _wide(grid: Floats, mean: Floats, variance: Floats) -> Floats:
    return -0.5 * (grid - mean.mean()) ** 2 / (1.5 * (variance.mean() + mean.var()))


def _span(coarse: Floats, inside: np.ndarray, n: int) -> Floats:
    step = coarse[1] - coarse[0]
    found = coarse[inside]
    return np.linspace(found.min() - step, found.max() + step, n)


def _log_likelihood(scans: Scans, region: int, noise: Floats, grid: _Grid, decay: float) -> Floats:
    """Of every half-life and uptake, the level integrated out, of shape (S, n_T, n_U)."""
    slow, fast = rates(grid.half_life[:, None], grid.uptake, decay)
    mine = scans.region == region
    shape = log_shape(slow[..., None], fast[..., None], scans.time_h[mine])
    residual = (scans.log_activity[mine] - shape).reshape(-1, mine.sum())
    variance = np.maximum(noise[:, None] ** 2 + scans.noise_var[mine], grid.floor)
    log_density = log_density_of_contrasts(residual, variance)
    return log_density.reshape(len(noise), len(grid.half_life), len(grid.uptake))


def _clearance(scans: Scans, region: int, one: _Drawn, grid: _Grid, decay: float) -> Floats:
    """Log likelihood of each half-life, uptake and level integrated out, of shape (S, n_T)."""
    log_density = _log_likelihood(scans, region, one.noise, grid, decay)
    return logsumexp(log_density + _log_uptake_prior(one, grid)[:, None], axis=2)


def _log_uptake_prior(one: _Drawn, grid: _Grid) -> Floats:
    sd = _at_least(one.uptake_sd, grid.uptake)[:, None]
    return -0.5 * ((grid.uptake - one.uptake[:, None]) / sd) ** 2 - np.log(sd)


def _log_half_life_prior(one: _Drawn, grid: _Grid, effect: Floats) -> Floats:
    """Of shape (S, n_effects, n_T), for effects of shape (S, n_effects)."""
    sd = _at_least(one.half_life_sd, grid.half_life)[:, None, None]
    centre = one.half_life[:, None, None] + effect[..., None]
    return -0.5 * ((grid.half_life - centre) / sd) ** 2 - np.log(sd)


def _at_least(sd: Floats, grid: Floats) -> Floats:
    """A spread that the grid can show; half a step added in squares."""
    return np.hypot(sd, (grid[1] - grid[0]) / 2)


def _draw_effect(
    clearance: list[Floats], parts: list[_Drawn], grids: list[_Grid], rng: np.random.Generator
) -> Floats:
    """The patient's effect given all of its regions, of shape (S,)."""
    effect = parts[0].patient_sd[:, None] * PATIENT
    log_density = np.tile(-0.5 * PATIENT**2, (DRAWS, 1))
    for seen, one, grid in zip(clearance, parts, grids, strict=True):
        # a product of matrices a draw: the grid's likelihood times the normal about each effect
        top = seen.max(1, keepdims=True)
        prior = np.exp(_log_half_life_prior(one, grid, effect))
        within = np.einsum("spt,st->sp", prior, np.exp(seen - top))
        log_density += np.log(np.maximum(within, 1e-300)) + top
    place = _draw(log_density, rng)
    step = PATIENT[1] - PATIENT[0]
    jitter = step * (rng.random(DRAWS) - 0.5)
    return parts[0].patient_sd * (PATIENT[place] + jitter)


def _draw_region(
    scans: Scans,
    region: int,
    one: _Drawn,
    grid: _Grid,
    clearance: Floats,
    effect: Floats,
    decay: float,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Half-life, then uptake, then level, each given what was drawn before."""
    place = _draw(clearance + _log_half_life_prior(one, grid, effect[:, None])[:, 0], rng)
    half_life = _jittered(grid.half_life, place, rng)
    mine = scans.region == region
    variance = np.maximum(one.noise[:, None] ** 2 + scans.noise_var[mine], grid.floor)
    slow, fast = rates(half_life[:, None], grid.uptake, decay)
    shape = log_shape(slow[..., None], fast[..., None], scans.time_h[mine])
    weight = (1 / variance)[:, None]
    residual = scans.log_activity[mine] - shape
    level = (weight * residual).sum(2, keepdims=True) / weight.sum(2, keepdims=True)
    log_density = -0.5 * (weight * (residual - level) ** 2).sum(2)
    place = _draw(log_density + _log_uptake_prior(one, grid), rng)
    uptake = _jittered(grid.uptake, place, rng)
    slow, fast = rates(half_life, uptake, decay)
    residual = scans.log_activity[mine] - log_shape(
        slow[:, None], fast[:, None], scans.time_h[mine]
    )
    total = (1 / variance).sum(1)
    level = (residual / variance).sum(1) / total + rng.standard_normal(DRAWS) / np.sqrt(total)
    return level + np.log(1 / slow - 1 / fast), np.log(np.log(2.0) / slow)


def _jittered(grid: Floats, place: np.ndarray, rng: np.random.Generator) -> Floats:
    return grid[place] + (grid[1] - grid[0]) * (rng.random(len(place)) - 0.5)


def _draw(log_density: Floats, rng: np.random.Generator) -> np.ndarray:
    """One place a row, with probability in proportion to the density."""
    mass = np.cumsum(np.exp(log_density - log_density.max(1, keepdims=True)), axis=1)
    return (mass < rng.random(len(mass))[:, None] * mass[:, -1:]).sum(1)
