"""The error of a model that is not fitted, as both bayesdose and scikit-learn know it.

It is apart from `bayesdose.errors`, which must not import scikit-learn.
"""

from typing import Any

from sklearn import exceptions
from sklearn.utils.validation import check_is_fitted

from bayesdose import errors


class _NotFittedError(errors.NotFittedError, exceptions.NotFittedError):
    """Caught as either."""


def not_fitted(message: str) -> Exception:
    """Return the error to raise where a method needs a fitted model."""
    return _NotFittedError(message)


def require_fitted(model: Any, attribute: str) -> None:
    """Refuse a model without an attribute that its fit ends with."""
    try:
        check_is_fitted(model, attribute)
    except exceptions.NotFittedError as err:
        name = type(model).__name__
        raise not_fitted(f"this {name} is not fitted: call fit(X, y) first") from err
