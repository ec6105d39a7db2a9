"""The prior of a naive Bayes model, as a plain value."""

from dataclasses import dataclass
from math import inf, isfinite

from bayesdose.errors import ConfigError


@dataclass(frozen=True)
class NaiveBayesPrior:
    """Weak conjugate priors of the class-conditional parameters and of the prevalence.

    Parameters
    ----------
    mean_weight : float
        Rows that the prior mean of a gaussian or lognormal column is worth, above 0.
    variance_df : float
        Rows that the prior variance is worth, above 0.
    centre : float, optional
        Prior mean, in the unit of the column (of its logarithm for lognormal). By default each
        column's mean over the training rows of all classes.
    scale : float, optional
        Prior standard deviation within a class, above 0, in the same unit. By default each
        column's standard deviation over the training rows of all classes.
    level_count : float
        Rows that each level of a categorical, ordinal or bernoulli column is worth, above 0.
    class_count : float
        Rows that each class is worth in the prevalence; 0 takes the share in the training rows as
        its mean.

    Raises
    ------
    ConfigError
        When a value is outside its range.

    Notes
    -----
    Within a class, ``sigma^2 ~ variance_df scale^2 / chi^2(variance_df)`` and
    ``mu ~ Normal(centre, sigma^2 / mean_weight)``; shares of levels and of classes are Dirichlet.
    """

    mean_weight: float = 0.1
    variance_df: float = 2.0
    centre: float | None = None
    scale: float | None = None
    level_count: float = 1.0
    class_count: float = 1.0

    def __post_init__(self) -> None:
        for name in ("mean_weight", "variance_df", "level_count", "scale"):
            value = getattr(self, name)
            if name == "scale" and value is None:
                continue
            if not 0 < value < inf:
                raise ConfigError(f"{self!r}: `{name}` must be finite and above 0.")
        if not 0 <= self.class_count < inf:
            raise ConfigError(f"{self!r}: `class_count` must be finite and at least 0.")
        if self.centre is not None and not isfinite(self.centre):
            raise ConfigError(f"{self!r}: `centre` must be finite.")


def as_prior(prior: object) -> NaiveBayesPrior | None:
    """Return the value that the argument `prior` stands for; None is plug-in.

    Parameters
    ----------
    prior : str, NaiveBayesPrior or None
        The argument.

    Returns
    -------
    NaiveBayesPrior or None

    Raises
    ------
    ConfigError
        When it is something else.
    """
    if prior is None or isinstance(prior, NaiveBayesPrior):
        return prior
    if isinstance(prior, str) and prior == "weak":
        return NaiveBayesPrior()
    raise ConfigError(
        f"`prior` must be 'weak', a NaiveBayesPrior, or None for plug-in estimates; got {prior!r}."
    )
