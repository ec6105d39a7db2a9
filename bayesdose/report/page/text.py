"""Text on its way from a table to a page: no control characters, never longer than stated."""

import unicodedata
from math import floor, log10

#: Characters of a label that a page shows; a longer one ends in "…".
LONGEST = 60
#: Characters of a sentence, a title or a formula.
LONGEST_SENTENCE = 2000


def shown(value: object, longest: int = LONGEST) -> str:
    """A label as a page shows it.

    Characters that have no shape, such as controls and marks that turn the direction of writing,
    become "�", so that what is read is what is there. Escaping is the template's.

    Parameters
    ----------
    value : object
        Label of a table.
    longest : int
        Characters at most.

    Returns
    -------
    str
    """
    # a text of megabytes is not walked through for the few characters that are shown
    text = "".join(_visible(letter) for letter in str(value)[: longest + 1])
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def sentence(value: object) -> str:
    """A sentence, formula or title as a page shows it.

    Parameters
    ----------
    value : object
        Text.

    Returns
    -------
    str
    """
    return shown(value, LONGEST_SENTENCE)


def number(value: float, digits: int = 3) -> str:
    """A number for people.

    Parameters
    ----------
    value : float
        Any; NaN gives a dash.
    digits : int
        Significant digits.

    Returns
    -------
    str
        Without an exponent between 0.001 and a million.
    """
    if value != value:
        return "–"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size == 0:
        return "0"
    if not 1e-3 <= size < 1e6:
        text = f"{value:.{digits - 1}e}"
    else:
        # digits before the point; fewer than none where zeros follow it
        whole = floor(log10(size)) + 1
        text = f"{value:.{max(digits - whole, 0)}f}"
    return text.replace("-", "−")


def between(lower: float, upper: float, digits: int = 3) -> str:
    """An interval for people.

    Parameters
    ----------
    lower, upper : float
        Ends.
    digits : int
        Significant digits.

    Returns
    -------
    str
        "a to b".
    """
    return f"{number(lower, digits)} to {number(upper, digits)}"


def percent(share: float, decimals: int = 0) -> str:
    """A share in percent.

    Parameters
    ----------
    share : float
        1 is all.
    decimals : int
        Decimals.

    Returns
    -------
    str
    """
    return "–" if share != share else f"{100 * share:.{decimals}f} %".replace("-", "−")


def counted(n: int, one: str, many: str = "") -> str:
    """A number of things.

    Parameters
    ----------
    n : int
        How many.
    one, many : str
        Word for one, and for others; with an s where there is none.

    Returns
    -------
    str
    """
    return f"{n} {one if n == 1 else many or one + 's'}"


def _visible(letter: str) -> str:
    if letter in "\n\t":
        return " "
    # controls, directions and joiners, halves of characters, private ones, ends of lines
    return "�" if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else letter
