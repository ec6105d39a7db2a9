"""Labels of a map and the table that says what they are."""

import numpy as np
import pandas as pd

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import numbers
from bayesdose.measure.images.image import Image, Regions

COLUMNS = ("label", "site_id", "tissue")


def check_labels(labels: pd.DataFrame) -> None:
    """Refuse a table of labels that lacks a column.

    Parameters
    ----------
    labels : pandas.DataFrame
        Columns label, site_id, tissue; optionally others.

    Raises
    ------
    MeasureError
        When a column is missing.
    """
    missing = [name for name in COLUMNS if name not in labels.columns]
    if missing:
        raise MeasureError(f"the table of labels lacks {', '.join(missing)}; it has {list(labels)}")


def named_regions(image: Image, labels: pd.DataFrame, *, all_there: bool = True) -> Regions:
    """Give the labels of a map their names.

    Parameters
    ----------
    image : Image
        Whole numbers from 0.
    labels : pandas.DataFrame
        Columns label (whole numbers), site_id, tissue; optionally others.
    all_there : bool
        Whether each row must have a voxel; if not, those without are left out.

    Returns
    -------
    Regions

    Raises
    ------
    MeasureError
        When the map is empty, a label has no name, a name no voxel, or a label two names.
    """
    check_labels(labels)
    found = present_labels(image)
    if not len(found):
        raise MeasureError(f"{image.name}: the label map is empty: every voxel is 0")
    given = numbers(labels["label"], "label", "", least=1.0)
    twice = pd.Series(given)[pd.Series(given).duplicated()]
    if len(twice):
        raise MeasureError(f"label {twice.iloc[0]:g} is named twice in the table of labels")
    nameless = sorted(set(found) - set(given))
    if nameless:
        raise MeasureError(
            f"{image.name}: label {nameless[0]:g} has no row in the table of labels (it has "
            f"{', '.join(f'{one:g}' for one in sorted(given))}): name it, or set it to 0"
        )
    empty = sorted(set(given) - set(found))
    if empty and not all_there:
        labels = labels[~np.isin(given, empty)]
    elif empty:
        site = labels["site_id"][given == empty[0]].iloc[0]
        raise MeasureError(
            f"{image.name}: label {empty[0]:g} ({site}) has no voxel: leave it out of the table, "
            "or outline it"
        )
    return Regions(image, labels.reset_index(drop=True))


def present_labels(image: Image) -> np.ndarray:
    """Labels above 0 that a map holds.

    Parameters
    ----------
    image : Image
        Whole numbers from 0.

    Returns
    -------
    ndarray of int
        In ascending order.
    """
    values = image.values.ravel()
    # counting is many times faster than the sort of np.unique; the numbers of regions are small
    found = np.flatnonzero(np.bincount(values)) if values.max() < 1e6 else np.unique(values)
    return found[found > 0]
