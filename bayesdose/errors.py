"""Errors raised on purpose: each names what was wrong, where, what is allowed and the way out."""


class BayesdoseError(ValueError):
    """Base of every error that bayesdose raises because of its input."""


class SiteTableError(BayesdoseError):
    """The site table breaks its schema; ``problems`` lists every breach.

    Parameters
    ----------
    message : str
        Text shown to the user.
    problems : list of dict, optional
        One entry a breach, with keys ``row``, ``column``, ``value`` and ``allowed``.
    """

    def __init__(self, message: str, problems: list[dict[str, object]] | None = None) -> None:
        super().__init__(message)
        self.problems: list[dict[str, object]] = problems or []


class ReadError(BayesdoseError):
    """A file cannot be read as a site table without guessing."""


class FormulaError(BayesdoseError):
    """A formula does not parse, or does not fit the table."""


class PriorError(BayesdoseError):
    """A prior is impossible, or does not fit the parameter that it is given to."""


class UnknownCategoryError(BayesdoseError):
    """A tissue or a category at prediction was not in the training table."""


class MissingCovariateError(BayesdoseError):
    """Covariates are missing; the message lists column and patients."""


class PredictionError(BayesdoseError):
    """A prediction was asked for that the fit cannot give."""


class NotFittedError(BayesdoseError, AttributeError):
    """A method needs a fitted model."""


class SavedModelError(BayesdoseError):
    """A saved model is damaged, or of another schema version."""


class ConfigError(BayesdoseError):
    """A configuration file or an argument has an unknown name or an impossible value."""


class DeviceError(BayesdoseError):
    """The device asked for is not there."""


class MeasureError(BayesdoseError):
    """A quantity cannot be measured from what was given."""


class RiskError(BayesdoseError):
    """A risk model cannot be made of what was given."""
