"""Whether long work shows a bar."""

import sys


def shows_bar(progress: bool | None) -> bool:
    """Decide for a caller who may not have said.

    Parameters
    ----------
    progress : bool or None
        What was asked for; None shows a bar on a terminal.

    Returns
    -------
    bool
    """
    return sys.stderr.isatty() if progress is None else progress
