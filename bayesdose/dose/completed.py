"""Rows to predict with the draws that belong to them: one table, or one for each imputation."""

from collections.abc import Iterator

import pandas as pd

from bayesdose.dose.design import Rows
from bayesdose.dose.posterior import Draws
from bayesdose.dose.training import Fitted, by_table


def completed_rows(fitted: Fitted, frame: pd.DataFrame) -> Iterator[tuple[slice, Draws, Rows]]:
    """Encode a table, its gaps filled where the model imputes them.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.
    frame : pandas.DataFrame
        Rows to predict, validated.

    Yields
    ------
    place : slice
        Of the draws that belong to a table.
    draws : Draws
        They.
    rows : Rows
        The table.
    """
    spec, training = fitted.encoding.spec, fitted.training
    frames = [frame]
    if spec.missing == "impute" and training is not None:
        from bayesdose.dose.completion import IMPUTATIONS, REPEATS, completions_of_others

        # a model saved without the training table predicts complete rows only
        repeats = min(REPEATS, len(fitted.draws) // IMPUTATIONS)
        seed = fitted.info["random_seed"]
        _, frames = completions_of_others(training.frame, frame, spec, seed, repeats)
    bare = [one.drop(columns=[spec.response], errors="ignore") for one in frames]
    yield from by_table(fitted.draws, [fitted.encoding.rows(one) for one in bare])
