"""Packages that come with an extra of bayesdose."""

from importlib.util import find_spec

from bayesdose.errors import MeasureError


def need(package: str, what: str, extra: str = "images") -> None:
    """Refuse to go on without a package of an extra."""
    if find_spec(package) is None:
        raise MeasureError(f"{what} needs {package}: install bayesdose[{extra}]")
