"""What a bug report needs: the versions that are installed and the devices that are used."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import bayesdose

PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "xarray",
    "h5netcdf",
    "h5py",
    "jax",
    "jaxlib",
    "numpyro",
    "pymc",
    "pytensor",
    "nutpie",
    "arviz",
    "arviz-base",
    "arviz-stats",
    "arviz-plots",
    "formulaic",
    "scikit-learn",
    "scikit-survival",
    "lifelines",
    "matplotlib",
    "joblib",
    "mirp",
    "pydicom",
    "nibabel",
    "equinox",
    "optax",
    "dask",
)


def show_versions(*, devices: bool = False) -> None:
    """Write the versions of Python, bayesdose and what it leans on to standard output.

    Versions come from package metadata: nothing is imported for them.

    Parameters
    ----------
    devices : bool
        Also name JAX's devices. That imports JAX and claims them; without it they are named only
        if JAX has been imported already.
    """
    sys.stdout.write(version_table(devices=devices) + "\n")


def version_table(*, devices: bool = False) -> str:
    """Return what `show_versions` writes.

    Parameters
    ----------
    devices : bool
        As in `show_versions`.

    Returns
    -------
    str
        One line an entry, names left and versions right.
    """
    rows = [
        ("bayesdose", bayesdose.__version__),
        ("python", platform.python_version()),
        ("platform", platform.platform()),
    ]
    rows += [(name, _installed(name)) for name in PACKAGES]
    if devices or "jax" in sys.modules:
        rows.append(("jax devices", _jax_devices()))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _jax_devices() -> str:
    try:
        import jax
    except ImportError:
        return "jax is not installed"
    return ", ".join(
        f"{device.platform}:{device.id} ({device.device_kind})" for device in jax.devices()
    )
