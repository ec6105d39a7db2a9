"""What tests of measurements share."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Image = tuple[np.ndarray, tuple[float, ...]]


@pytest.fixture
def read_nifti() -> Callable[[Path], Image]:
    return _read_nifti


def _read_nifti(path: Path) -> Image:
    """Values and voxel sizes of a little-endian NIfTI-1 file, without a library."""
    raw = gzip.decompress(path.read_bytes())
    shape = struct.unpack("<8h", raw[40:56])[1:4]
    kind = {2: "u1", 4: "<i2", 8: "<i4", 16: "<f4", 64: "<f8", 512: "<u2"}[
        struct.unpack("<h", raw[70:72])[0]
    ]
    start = int(struct.unpack("<f", raw[108:112])[0])
    values = np.frombuffer(raw, kind, int(np.prod(shape)), start).reshape(shape, order="F")
    return values, struct.unpack("<8f", raw[76:108])[1:4]
