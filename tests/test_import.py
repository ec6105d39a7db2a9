"""What `import bayesdose` promises: it is light, and every public name is found when asked for."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bayesdose

HEAVY = (
    "arviz",
    "arviz_base",
    "arviz_plots",
    "arviz_stats",
    "formulaic",
    "jax",
    "lifelines",
    "matplotlib",
    "numba",
    "numpyro",
    "nutpie",
    "pandas",
    "pyarrow",
    "pymc",
    "pytensor",
    "scipy",
    "sklearn",
    "sksurv",
    "xarray",
)


def loaded_by(statement: str) -> set[str]:
    """Top-level modules in a fresh interpreter after a statement."""
    script = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def type_checking_names() -> set[str]:
    """Names that type checkers see: those imported under `if TYPE_CHECKING`."""
    tree = ast.parse(Path(bayesdose.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_import_loads_nothing_heavy() -> None:
    assert loaded_by("import bayesdose").isdisjoint(HEAVY)


def test_showing_versions_loads_nothing_heavy() -> None:
    assert loaded_by("import bayesdose; bayesdose.show_versions()").isdisjoint(HEAVY)


def test_heavy_modules_would_be_noticed() -> None:
    assert "pandas" in loaded_by("import pandas")


@pytest.mark.parametrize("name", bayesdose.__all__)
def test_public_name_resolves(name: str) -> None:
    assert getattr(bayesdose, name) is not None


def test_public_names_agree_wherever_they_are_listed() -> None:
    lazy = bayesdose._ROOMS | bayesdose._HOME_OF.keys()
    assert len(set(bayesdose.__all__)) == len(bayesdose.__all__)
    assert set(bayesdose.__all__) - {"__version__"} == lazy == type_checking_names()
    assert set(bayesdose.__all__) <= set(dir(bayesdose))


def test_every_error_is_public_and_a_value_error() -> None:
    from bayesdose import errors

    defined = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert defined <= set(bayesdose.__all__)
    assert all(issubclass(getattr(errors, name), ValueError) for name in defined)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'DosesModel'"):
        _ = bayesdose.DosesModel


def test_versions_name_devices_only_when_jax_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    bayesdose.show_versions(devices=True)
    with_devices = capsys.readouterr().out
    assert re.search(rf"^bayesdose +{re.escape(bayesdose.__version__)}$", with_devices, re.M)
    assert re.search(r"^jax devices +\w+:0 \(", with_devices, re.M)

    script = "import bayesdose; bayesdose.show_versions()"
    without = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert "numpyro" in without
    assert "jax devices" not in without


def test_arviz_imported_first_leaves_numpyro_whole() -> None:
    """ArviZ loads numpyro lazily; importing a part of it first would leave the whole in pieces."""
    script = (
        "import arviz_stats.base, bayesdose.dose.collapsed.hyper, numpyro; "
        "print(hasattr(numpyro.distributions, 'distribution'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"
