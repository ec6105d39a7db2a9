"""Phantom images of spheres with known activity, blurred by a scanner and with counting noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage

from bayesdose.errors import ConfigError
from bayesdose.measure.images import Image, Regions

#: Subdivisions of a voxel's edge by which a sphere's share of it is found.
_FINE = 5
#: Places that are tried for a sphere.
_TRIES = 5000


@dataclass(frozen=True)
class Phantom:
    """A simulated image with what is true of it.

    Parameters
    ----------
    image : Image
        What a scanner would show, in the unit of the concentrations.
    regions : Regions
        Voxels of which more than half lies in a sphere.
    truth : pandas.DataFrame
        A row a sphere: the columns given, volume_ml of the sphere and total, its concentration
        times volume.
    """

    image: Image
    regions: Regions
    truth: pd.DataFrame


def pet_volume(
    spheres: pd.DataFrame,
    *,
    shape: Sequence[int] = (64, 64, 48),
    spacing_mm: Sequence[float] = (4.0, 4.0, 3.0),
    background: float = 1.0,
    fwhm_mm: float = 6.0,
    counts_per_unit: float | None = 50.0,
    random_seed: int = 1,
) -> Phantom:
    """Simulate a PET or SPECT image of spheres in a uniform background.

    Parameters
    ----------
    spheres : pandas.DataFrame
        A row a sphere: label, site_id, tissue, x_mm, y_mm, z_mm (centre, from the centre of the
        first voxel), diameter_mm, concentration (SUV, or activity per mL).
    shape : sequence of int of length 3
        Voxels.
    spacing_mm : sequence of float of length 3, mm
        Size of a voxel.
    background : float
        Concentration outside the spheres, in the same unit.
    fwhm_mm : float, mm
        Width of the Gaussian point-spread function; 6 is a PET, 12 and more a 177Lu SPECT. 0 for
        none.
    counts_per_unit : float, optional
        Counts of a voxel of concentration 1; the noise is Poisson's and independent between voxels,
        which reconstructed images' is not. None for no noise.
    random_seed : int
        Seed.

    Returns
    -------
    Phantom
        SIMULATED; nothing in it is a patient.

    Raises
    ------
    ConfigError
        When a column is missing, spheres overlap or leave the image, or a number is out of range.
    """
    wanted = ["label", "site_id", "tissue", "x_mm", "y_mm", "z_mm", "diameter_mm", "concentration"]
    missing = [name for name in wanted if name not in spheres.columns]
    if missing:
        raise ConfigError(f"spheres lack {', '.join(missing)}; they have {list(spheres)}")
    if background < 0 or fwhm_mm < 0 or (counts_per_unit is not None and counts_per_unit <= 0):
        raise ConfigError("background and fwhm_mm are at least 0, and counts_per_unit above 0")
    spacing = np.asarray(spacing_mm, dtype=float)
    concentration = np.full(tuple(shape), float(background))
    labels = np.zeros(tuple(shape), np.int32)
    for sphere in spheres.to_dict("records"):
        centre = np.array([sphere[f"{axis}_mm"] for axis in "xyz"], dtype=float)
        box, share = _share_of_voxels(
            sphere["site_id"], centre, sphere["diameter_mm"] / 2, labels.shape, spacing
        )
        concentration[box] += share * (sphere["concentration"] - background)
        inside = share > 0.5
        if (labels[box][inside] != 0).any():
            raise ConfigError(f"sphere {sphere['site_id']} overlaps another one")
        labels[box][inside] = sphere["label"]
    if fwhm_mm > 0:
        # full width at half maximum of a Gaussian: 2 sqrt(2 ln 2) sd
        sd = fwhm_mm / (2 * np.sqrt(2 * np.log(2))) / spacing
        concentration = ndimage.gaussian_filter(concentration, sd, mode="nearest")
    if counts_per_unit is not None:
        rng = np.random.default_rng(random_seed)
        concentration = rng.poisson(concentration * counts_per_unit) / counts_per_unit
    affine = np.diag([*spacing, 1.0])
    volume = np.pi / 6 * spheres["diameter_mm"].to_numpy(float) ** 3 / 1000.0
    truth = spheres.assign(volume_ml=volume, total=spheres["concentration"].to_numpy() * volume)
    return Phantom(
        Image(concentration, affine, "the phantom"),
        Regions(Image(labels.astype(float), affine, "its labels"), spheres.reset_index(drop=True)),
        truth.reset_index(drop=True),
    )


def place_spheres(
    diameter_mm: Sequence[float],
    *,
    shape: Sequence[int] = (64, 64, 48),
    spacing_mm: Sequence[float] = (4.0, 4.0, 3.0),
    gap_mm: float = 12.0,
    random_seed: int = 1,
) -> pd.DataFrame:
    """Find places at random where spheres do not touch, for `pet_volume`.

    Parameters
    ----------
    diameter_mm : sequence of float of length n, mm
        Diameters.
    shape : sequence of int of length 3
        Voxels of the image.
    spacing_mm : sequence of float of length 3, mm
        Size of a voxel.
    gap_mm : float, mm
        Smallest distance between two surfaces, and to the ends of the image.
    random_seed : int
        Seed.

    Returns
    -------
    pandas.DataFrame of n rows
        x_mm, y_mm, z_mm (from the centre of the first voxel) and diameter_mm, in the order given.

    Raises
    ------
    ConfigError
        When no place is found: the image is too full.
    """
    diameter = np.asarray(diameter_mm, dtype=float)
    extent = (np.asarray(shape) - 1) * np.asarray(spacing_mm, dtype=float)
    rng = np.random.default_rng(random_seed)
    centre = np.full((len(diameter), 3), np.nan)
    for i in np.argsort(-diameter, kind="stable"):
        margin = diameter[i] / 2 + gap_mm
        if (2 * margin >= extent).any():
            raise ConfigError(f"a sphere of {diameter[i]:g} mm does not fit into {extent} mm")
        tries = rng.uniform(margin, extent - margin, (_TRIES, 3))
        away = np.linalg.norm(tries[:, None] - centre, axis=2) - (diameter + diameter[i]) / 2
        # spheres that have no place yet are nowhere near
        free = (np.nan_to_num(away, nan=np.inf) >= gap_mm).all(1)
        if not free.any():
            raise ConfigError(
                f"no place for a sphere of {diameter[i]:g} mm in {extent} mm: enlarge the image"
            )
        centre[i] = tries[free.argmax()]
    return pd.DataFrame(centre, columns=["x_mm", "y_mm", "z_mm"]).assign(diameter_mm=diameter)


def _share_of_voxels(
    site_id: str, centre: np.ndarray, radius: float, shape: tuple[int, ...], spacing: np.ndarray
) -> tuple[tuple[slice, ...], np.ndarray]:
    """Box of a sphere, and the share of each voxel in it that lies inside, by subdivision."""
    extent = (np.array(shape) - 1) * spacing
    if radius <= 0 or (centre - radius < 0).any() or (centre + radius > extent).any():
        raise ConfigError(
            f"sphere {site_id} of radius {radius:g} mm at {centre} mm does "
            f"not fit into the image, which ends at {extent} mm"
        )
    low = np.floor((centre - radius) / spacing).astype(int)
    high = np.ceil((centre + radius) / spacing).astype(int) + 1
    box = tuple(slice(max(a, 0), min(b, n)) for a, b, n in zip(low, high, shape, strict=True))
    step = (np.arange(_FINE) - (_FINE - 1) / 2) / _FINE
    axes = [
        ((np.arange(part.start, part.stop)[:, None] + step) * size - middle).ravel() ** 2
        for part, size, middle in zip(box, spacing, centre, strict=True)
    ]
    inside = axes[0][:, None, None] + axes[1][:, None] + axes[2] <= radius**2
    blocks = [n // _FINE for n in inside.shape]
    fine = inside.reshape(blocks[0], _FINE, blocks[1], _FINE, blocks[2], _FINE)
    return box, fine.mean(axis=(1, 3, 5))
