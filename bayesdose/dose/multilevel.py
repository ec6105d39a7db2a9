"""Jointly normal variables of sites within cycles within patients, with gaps: a Gibbs sampler.

For row j of tissue k, cycle c and patient i, with the tissue's variables as one vector,

    row  = a_ic[k] + h_s + e,    e ~ N(0, S_k),  h_s ~ N(0, H_k)   (sites measured repeatedly)
    a_ic = b_i + g_ic,           g ~ N(0, O)                       (patients with several cycles)
    b_i ~ N(m, P)

a and b hold one block a tissue and then the variables that belong to a cycle; b also those that
belong to the patient. Those variables are parts of a and b themselves, without a residual. The
model is that of Schafer and Yucel (2002, doi 10.1198/106186002760180608, from memory), in which a
linear regression of one variable on the others with random intercepts holds at every level.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from bayesdose.dose.conditional import draw_beta

#: Scale matrix of the inverse-Wishart priors, in units of the columns' variances: worth less than
#: one unit, it keeps covariances positive where there are fewer units than variables.
_PRIOR_SCALE = 0.1
#: Precision of a value that is known, in units of the column's variance.
_KNOWN = 1e8


@dataclass(frozen=True)
class Layers:
    """Standardised variables of P patients, U patient-cycles and the rows of K tissues.

    Parameters
    ----------
    rows : tuple of numpy.ndarray of shape (n_k, d_k)
        By tissue, NaN where missing.
    unit : tuple of numpy.ndarray of int of shape (n_k,)
        Patient-cycle of each row.
    site : tuple of numpy.ndarray of int of shape (n_k,)
        Site of each row, counted by tissue.
    patient : numpy.ndarray of int of shape (U,)
        Patient of each patient-cycle.
    of_unit : numpy.ndarray of shape (U, d_v)
        What belongs to a patient-cycle, NaN where missing; no columns without repeated cycles.
    of_patient : numpy.ndarray of shape (P, d_w)
        What belongs to a patient, NaN where missing.
    repeated_cycles : bool
        Whether cycles have effects of their own.
    repeated_sites : tuple of bool
        Whether a tissue's sites have.
    """

    rows: tuple[np.ndarray, ...]
    unit: tuple[np.ndarray, ...]
    site: tuple[np.ndarray, ...]
    patient: np.ndarray
    of_unit: np.ndarray
    of_patient: np.ndarray
    repeated_cycles: bool
    repeated_sites: tuple[bool, ...]

    @property
    def blocks(self) -> list[slice]:
        """Places of each tissue's variables in a and b.

        Returns
        -------
        list of slice
        """
        ends = np.cumsum([block.shape[1] for block in self.rows])
        return [
            slice(int(end) - block.shape[1], int(end))
            for end, block in zip(ends, self.rows, strict=True)
        ]


@dataclass(frozen=True)
class Law:
    """Parameters; the names are those of the module's formulas.

    Parameters
    ----------
    mean, between : numpy.ndarray of shape (D,) and (D, D)
        m and P.
    cycles : numpy.ndarray of shape (A, A)
        O.
    sites, within : tuple of numpy.ndarray of shape (d_k, d_k)
        H_k and S_k.
    """

    mean: np.ndarray
    between: np.ndarray
    cycles: np.ndarray
    sites: tuple[np.ndarray, ...]
    within: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class State:
    """Effects and completed variables.

    Parameters
    ----------
    a, b : numpy.ndarray of shape (U, A) and (P, D)
    h : tuple of numpy.ndarray of shape (n_sites, d_k)
    rows : tuple of numpy.ndarray of shape (n_k, d_k)
        Completed.
    """

    a: np.ndarray
    b: np.ndarray
    h: tuple[np.ndarray, ...]
    rows: tuple[np.ndarray, ...]


def start(layers: Layers) -> tuple[State, Law]:
    """Where the sampler starts.

    Parameters
    ----------
    layers : Layers
        Data.

    Returns
    -------
    State, Law
        Means of 0; half of each variance between patients.
    """
    n_a = sum(block.shape[1] for block in layers.rows) + layers.of_unit.shape[1]
    n_b = n_a + layers.of_patient.shape[1]
    law = Law(
        np.zeros(n_b),
        0.5 * np.eye(n_b),
        0.2 * np.eye(n_a),
        tuple(0.2 * np.eye(block.shape[1]) for block in layers.rows),
        tuple(0.5 * np.eye(block.shape[1]) for block in layers.rows),
    )
    sizes = [site.max(initial=-1) + 1 for site in layers.site]
    state = State(
        np.zeros((len(layers.of_unit), n_a)),
        np.zeros((len(layers.of_patient), n_b)),
        tuple(np.zeros((n, r.shape[1])) for n, r in zip(sizes, layers.rows, strict=True)),
        tuple(np.nan_to_num(block) for block in layers.rows),
    )
    return state, law


def draw_effects(layers: Layers, state: State, law: Law, rng: np.random.Generator) -> State:
    """One sweep over effects and gaps at fixed parameters.

    Parameters
    ----------
    layers : Layers
        Data.
    state : State
        Before.
    law : Law
        Parameters.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    State
        Effects are drawn given the values that are there, the gaps integrated out; then the gaps.
        Without repeated sites this is an independent draw.
    """
    n_a = state.a.shape[1]
    known = [
        _known_part(block - h[site], within)
        for block, site, h, within in zip(
            layers.rows, layers.site, state.h, law.within, strict=True
        )
    ]
    precision = np.zeros((len(layers.of_unit), n_a, n_a))
    shift = np.zeros((len(layers.of_unit), n_a))
    for (weight, pull), unit, block in zip(known, layers.unit, layers.blocks, strict=True):
        np.add.at(precision[:, block, block], unit, weight)
        np.add.at(shift[:, block], unit, pull)
    first_v = n_a - layers.of_unit.shape[1]
    _pin(precision, shift, layers.of_unit, first_v)
    if layers.repeated_cycles:
        # with a integrated out: (O + p⁻¹)⁻¹ = O⁻¹ - O⁻¹ (p + O⁻¹)⁻¹ O⁻¹
        inverse = np.linalg.inv(law.cycles)
        gain = inverse @ np.linalg.inv(precision + inverse)
        b = _draw_patients(
            layers, law, inverse - gain @ inverse, (gain @ shift[..., None])[..., 0], rng
        )
        a = draw_beta(precision + inverse, shift + b[layers.patient, :n_a] @ inverse, rng)
        a[:, first_v:] = _filled(layers.of_unit, a[:, first_v:])
    else:
        # a patient has one cycle, whose effects are the patient's
        b = _draw_patients(layers, law, precision, shift, rng)
        a = b[layers.patient, :n_a]
    h, rows = [], []
    for k, block in enumerate(layers.blocks):
        effect = a[layers.unit[k], block]
        mine = _draw_sites(layers, law, k, effect, rng) if layers.repeated_sites[k] else state.h[k]
        h.append(mine)
        rows.append(_conditional(layers.rows[k], effect + mine[layers.site[k]], law.within[k], rng))
    return State(a, b, tuple(h), tuple(rows))


def draw_law(layers: Layers, state: State, law: Law, rng: np.random.Generator) -> Law:
    """Parameters given effects and completed variables.

    Parameters
    ----------
    layers : Layers
        Data.
    state : State
        Effects.
    law : Law
        Before; the parameters of levels that are not there stay as they are.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Law
    """
    n_a = state.a.shape[1]
    # the flat prior on the mean takes one degree of freedom
    centred = state.b - state.b.mean(0)
    between = _draw_covariance(centred, len(centred) - 1, rng)
    root = np.linalg.cholesky(between)
    mean = state.b.mean(0) + root @ rng.standard_normal(len(root)) / np.sqrt(len(centred))
    cycles, sites, within = law.cycles, list(law.sites), []
    if layers.repeated_cycles:
        left = state.a - state.b[layers.patient, :n_a]
        cycles = _draw_covariance(left, len(left), rng)
    for k, block in enumerate(layers.blocks):
        left = state.rows[k] - state.a[layers.unit[k], block] - state.h[k][layers.site[k]]
        within.append(_draw_covariance(left, len(left), rng))
        if layers.repeated_sites[k]:
            sites[k] = _draw_covariance(state.h[k], len(state.h[k]), rng)
    return replace(
        law, mean=mean, between=between, cycles=cycles, sites=tuple(sites), within=tuple(within)
    )


def _known_part(values: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each row's precision about its effect, gaps integrated out, and precision times value."""
    n, d = values.shape
    weight = np.zeros((n, d, d))
    for seen, rows in _patterns(~np.isnan(values)):
        if seen.any():
            inverse = np.linalg.inv(covariance[np.ix_(seen, seen)])
            weight[np.ix_(rows, seen, seen)] = inverse
    return weight, (weight @ np.nan_to_num(values)[..., None])[..., 0]


def _draw_patients(
    layers: Layers, law: Law, upward: np.ndarray, pull: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """B given the precision and shift about it that every patient-cycle brings."""
    n_a, n_patients = pull.shape[1], len(layers.of_patient)
    inverse = np.linalg.inv(law.between)
    precision = np.tile(inverse, (n_patients, 1, 1))
    shift = np.tile(inverse @ law.mean, (n_patients, 1))
    np.add.at(precision[:, :n_a, :n_a], layers.patient, upward)
    np.add.at(shift[:, :n_a], layers.patient, pull)
    _pin(precision, shift, layers.of_patient, n_a)
    b = draw_beta(precision, shift, rng)
    b[:, n_a:] = _filled(layers.of_patient, b[:, n_a:])
    return b


def _draw_sites(
    layers: Layers, law: Law, tissue: int, effect: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    weight, pull = _known_part(layers.rows[tissue] - effect, law.within[tissue])
    site, d = layers.site[tissue], effect.shape[1]
    precision = np.tile(np.linalg.inv(law.sites[tissue]), (site.max() + 1, 1, 1))
    shift = np.zeros((len(precision), d))
    np.add.at(precision, site, weight)
    np.add.at(shift, site, pull)
    return draw_beta(precision, shift, rng)


def _conditional(
    values: np.ndarray, mean: np.ndarray, covariance: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw the gaps of every row given the row's other values."""
    out = values.copy()
    for gap, rows in _patterns(np.isnan(values)):
        if not gap.any():
            continue
        seen = ~gap
        slope = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[np.ix_(seen, gap)])
        left = covariance[np.ix_(gap, gap)] - covariance[np.ix_(gap, seen)] @ slope
        centre = mean[np.ix_(rows, gap)] + (values - mean)[np.ix_(rows, seen)] @ slope
        noise = rng.standard_normal(centre.shape)
        out[np.ix_(rows, gap)] = centre + noise @ np.linalg.cholesky(left).T
    return out


def _patterns(mask: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each pattern of a mask's rows with the rows that have it."""
    found, place = np.unique(mask, axis=0, return_inverse=True)
    return [(pattern, np.flatnonzero(place.ravel() == j)) for j, pattern in enumerate(found)]


def _pin(precision: np.ndarray, shift: np.ndarray, values: np.ndarray, first: int) -> None:
    """Hold the effects that are themselves known, from column ``first`` on."""
    who, which = np.nonzero(~np.isnan(values))
    precision[who, first + which, first + which] += _KNOWN
    shift[who, first + which] += _KNOWN * values[who, which]


def _filled(values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), drawn, values)


def _draw_covariance(values: np.ndarray, df: int, rng: np.random.Generator) -> np.ndarray:
    d = values.shape[1]
    scale = values.T @ values + _PRIOR_SCALE * np.eye(d)
    return np.atleast_2d(stats.invwishart.rvs(df + d, scale, random_state=rng))
