"""What the readers of DICOM regions share."""

from collections.abc import Callable

import numpy as np

from bayesdose.errors import MeasureError
from bayesdose.measure.images.image import Image

#: Largest distance, mm, by which a place may be off.
OFF_MM = 0.1
#: Voxels of a region, by its number.
Fill = Callable[[int], np.ndarray]


def check_space(uid: str | None, like: Image, name: str) -> None:
    """Refuse regions that were drawn in another space than that of an image.

    Parameters
    ----------
    uid : str or None
        FrameOfReferenceUID of the regions; without it nothing is checked.
    like : Image
        Image on whose voxels they are wanted.
    name : str
        Of the file, for messages.

    Raises
    ------
    MeasureError
        When both have a space, and not the same.
    """
    known = like.scan.frame_of_reference if like.scan is not None else None
    if uid and known and str(uid) != known:
        raise MeasureError(
            f"{name}: its FrameOfReferenceUID is not that of {like.name}: regions were drawn in "
            "another space; register the images, and transfer the regions"
        )
