"""Numbers of a sheet in words."""

from math import floor


def plain(value: float) -> str:
    """A number that somebody stated, as it was stated.

    Parameters
    ----------
    value : float

    Returns
    -------
    str
        Up to four significant digits, no zeros at the end.
    """
    return f"{value:.4g}"


def chance(share: float, n_draws: int) -> str:
    """A probability that was counted over draws.

    Parameters
    ----------
    share : float
        Share of the draws.
    n_draws : int

    Returns
    -------
    str
        Rounded down, so that no limit seems to hold that does not; never nought or all, since
        finitely many draws show neither.
    """
    least = max(1 / n_draws, 0.001)
    if share < least:
        return f"under {100 * least:.2g} %"
    if share > 1 - least:
        return f"over {100 * (1 - least):.4g} %"
    return f"{floor(1000 * share + 1e-6) / 10:.1f} %"


def asked(probability: float) -> str:
    """The probability that a limit shall hold with.

    Parameters
    ----------
    probability : float

    Returns
    -------
    str
    """
    return f"{100 * probability:.6g} %"
