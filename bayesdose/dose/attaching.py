"""Give a model that was saved without patients its training rows back, if they are its rows.

A saved model holds draws, not rows; but what it learnt of them it must learn again. Columns,
levels, centre and scale, ranges and counts are compared, and then, at some posterior draws θ, what
the rows say of β and the density of θ itself::

    Λ(θ) = Λ₀(θ) + Σ X'V⁻¹X,   b(θ) = Λ₀(θ) m + Σ X'V⁻¹y,   log p(θ) + log p(y | θ)

The first two fix the covariates and the weighted sums of the doses, the last their squares. The
rows' sums are formed here in NumPy from the given table, those of the fit come from its file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.dose.conditional import patient_gram
from bayesdose.dose.design import Rows, patients_per_tissue
from bayesdose.dose.posterior import Draws
from bayesdose.dose.training import Fitted, Training, build_domain, check_table, prepare
from bayesdose.errors import PredictionError

#: Posterior draws at which the table is held against the fit.
CHECKED_DRAWS = 4
# Far above what rounding does to sums of thousands of rows, far below what one changed digit does.
_TOLERANCE = 1e-6


def attach(fitted: Fitted, frame: pd.DataFrame) -> Fitted:
    """A fit together with its training rows.

    Rows that are alike in all that the model looks at, such as two sites of one patient without
    covariates, may have changed places: no fit can tell.

    Parameters
    ----------
    fitted : Fitted
        Loaded from a file without rows.
    frame : pandas.DataFrame
        The table that it was fitted to.

    Returns
    -------
    Fitted
        The same with ``training``.

    Raises
    ------
    PredictionError
        When the table is another one, the model has its rows, or it is of a kind whose doses
        cannot be checked.
    SiteTableError, FormulaError, MissingCovariateError
        When the table breaks its schema, or does not fit the model at all.
    """
    if fitted.training is not None:
        raise PredictionError("this model was saved with its training rows: it needs no table")
    theta = _reals(fitted)
    training = _prepared(fitted, frame)
    for what, given, saved in _learnt(fitted, training):
        if not _same(given, saved):
            raise _another(what)
    for s in range(CHECKED_DRAWS):
        _check_draw(fitted, training.tables[s % len(training.tables)], s, theta[s])
    return replace(fitted, training=training)


def _another(what: str) -> PredictionError:
    return PredictionError(
        f"the table is not the one that this model was fitted to: {what} differ. Give that table, "
        "or fit again"
    )


def _prepared(fitted: Fitted, frame: pd.DataFrame) -> Training:
    spec = fitted.encoding.spec
    if spec.missing != "impute":
        return prepare(frame, spec)
    from bayesdose.dose import imputation

    clean = check_table(frame, spec, response_required=True, training=True)
    return imputation.restore(clean, fitted.encoding, fitted.info["random_seed"])


def _learnt(fitted: Fitted, training: Training) -> list[tuple[str, Any, Any]]:
    """What is said when it differs, of the table and of the fit; coarse first."""
    from bayesdose.dose.saving import _encoding_to_dict

    counts = ("n_sites", "n_patients")
    sizes = (len(training.rows.tissue), len(training.rows.patients))
    given, saved = _encoding_to_dict(training.encoding), _encoding_to_dict(fitted.encoding)
    domain = build_domain(training).to_dict()
    scaling = ("center", "scale", "log_activity")
    columns = [name for name in given if name not in scaling]
    return [
        ("its tissues", given["tissues"], saved["tissues"]),
        ("the numbers of sites and patients", sizes, tuple(fitted.info[name] for name in counts)),
        (
            "its columns and their levels",
            [given[n] for n in columns],
            [saved[n] for n in columns],
        ),
        (
            "means, spreads and ranges of its covariates",
            [*(given[n] for n in scaling), domain["low"], domain["high"]],
            [*(saved[n] for n in scaling), fitted.domain.low, fitted.domain.high],
        ),
        (
            "its cycles and protocol columns",
            [domain["seen"], domain["cycles"]],
            [fitted.domain.seen, fitted.domain.cycles],
        ),
    ]


def _same(given: Any, saved: Any) -> bool:
    """Whether nested values agree, numbers to within rounding."""
    if isinstance(given, Mapping) and isinstance(saved, Mapping):
        return given.keys() == saved.keys() and all(_same(given[k], saved[k]) for k in given)
    if isinstance(given, str) or not isinstance(given, Sequence | float | np.floating):
        return bool(given == saved)
    if isinstance(given, Sequence):
        pairs = isinstance(saved, Sequence) and len(given) == len(saved)
        return pairs and all(_same(a, b) for a, b in zip(given, saved, strict=True))
    number = isinstance(saved, int | float | np.number)
    return number and bool(np.isclose(given, saved, rtol=1e-9, atol=1e-12, equal_nan=True))


def _check_draw(fitted: Fitted, rows: Rows, s: int, theta: np.ndarray) -> None:
    import jax
    import jax.numpy as jnp

    from bayesdose.dose.collapsed import engine, hyper

    encoding, draw = fitted.encoding, fitted.draws.take(slice(s, s + 1))
    assert draw.precision is not None
    assert draw.shift is not None
    space = hyper.build(encoding, patients_per_tissue(encoding, rows))
    with engine.double_precision(jax.devices("cpu")[0]):
        # step by step, each of its operations would be compiled on its own
        found, log_prior = jax.jit(hyper.unpack, static_argnums=0)(space, jnp.asarray(theta))
        prior_precision = 1 / np.asarray(found.prior_sd) ** 2
    gram, log_det = _sums(fitted, draw, rows)
    p = len(prior_precision)
    before, pull = np.diag(prior_precision), prior_precision * np.asarray(space.means)
    size = np.sqrt(np.diagonal(draw.precision[0]))
    precision = (gram[0, :p, :p] + before - draw.precision[0]) / np.outer(size, size)
    if np.abs(precision).max() > _TOLERANCE:
        raise _another("its covariates, activities or measurement errors")
    shift = (gram[0, :p, p] + pull - draw.shift[0]) / size
    scale = max(1.0, float(np.abs(draw.shift[0] / size).max()))
    if np.abs(shift).max() > _TOLERANCE * scale:
        raise _another("its doses")
    value = float(log_prior) + _log_evidence(
        prior_precision, np.asarray(space.means), gram[0], log_det[0], len(rows.tissue)
    )
    if abs(value - fitted.draws.log_posterior[s]) > _TOLERANCE * max(1.0, abs(value)):
        raise _another("its doses")


def _log_evidence(
    prior_precision: np.ndarray, mean: np.ndarray, gram: np.ndarray, log_det: float, n: int
) -> float:
    """Log p(y | θ) as the collapsed engine states it: flat priors drop out of log|Λ₀|."""
    p = len(prior_precision)
    precision = gram[:p, :p] + np.diag(prior_precision)
    shift = gram[:p, p] + prior_precision * mean
    quadratic = gram[p, p] + prior_precision @ mean**2 - shift @ np.linalg.solve(precision, shift)
    log_prior_det = np.log(prior_precision[prior_precision > 0]).sum()
    log_posterior_det = np.linalg.slogdet(precision)[1]
    constant = n * np.log(2 * np.pi)
    return -0.5 * float(constant + log_det - log_prior_det + log_posterior_det + quadratic)


def _sums(fitted: Fitted, draw: Draws, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    grams, log_dets = zip(
        *(
            patient_gram(fitted.encoding, draw, rows.take(rows.patient == code).compact())
            for code in range(len(rows.patients))
        ),
        strict=True,
    )
    return np.sum(grams, axis=0), np.sum(log_dets, axis=0)


def _reals(fitted: Fitted) -> np.ndarray:
    """θ of the first draws, as the collapsed engine carries it; see `collapsed.hyper`."""
    import jax
    import jax.numpy as jnp
    from numpyro.distributions.transforms import CorrCholeskyTransform

    from bayesdose.dose.collapsed import engine, hyper

    @jax.jit
    def angles_of(corr: jax.Array) -> jax.Array:
        reals: jax.Array = CorrCholeskyTransform().inv(jnp.linalg.cholesky(corr))
        return reals

    encoding = fitted.encoding
    if encoding.spec.engine != "collapsed":
        raise _unchecked("of the PyMC engine")
    # patients count for a horseshoe only, and that is refused
    space = hyper.build(encoding, [2] * len(encoding.tissues))
    if space.local or space.shrinkage:
        raise _unchecked("with Student-t, horseshoe or R2D2 priors of the coefficients")
    draws = fitted.draws.take(slice(0, CHECKED_DRAWS))
    used = zip(
        (space.residual, space.patient, space.cycle, space.site, space.group),
        (draws.residual_sd, draws.patient_sd, draws.cycle_sd, draws.site_sd, draws.group_sd),
        strict=True,
    )
    values = np.column_stack(
        [sd[:, i] for scales, sd in used for i, scale in enumerate(scales) if scale is not None]
    )
    signed = np.array([scale.signed for scale in space.scales])
    reals = np.where(signed, values, np.log(np.where(signed, 1.0, values)))
    if not space.n_correlations:
        return reals
    with engine.double_precision(jax.devices("cpu")[0]):
        angles = np.asarray(angles_of(jnp.asarray(draws.patient_corr)))
    return np.concatenate([reals, angles], axis=1)


def _unchecked(kind: str) -> PredictionError:
    return PredictionError(
        f"whether a table is that of a model {kind} cannot be checked from its file: save the "
        "model with its rows (include_patients=True), or fit again"
    )
