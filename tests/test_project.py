"""The project's files agree with each other, and the rooms of the house keep their doors shut."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import bayesdose

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bayesdose"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# What each room may import besides itself, `errors` and private modules. `evaluate` knows only
# arrays and tables, so that every room of models may be scored with it.
MAY_IMPORT = {
    "errors": set(),
    "cohort": set(),
    "evaluate": set(),
    "measure": {"cohort"},
    "simulate": {"cohort", "measure"},
    "datasets": {"cohort", "simulate"},
    "dose": {"cohort", "datasets", "measure", "evaluate"},
    "risk": {"cohort", "datasets", "measure", "dose", "evaluate"},
    "planning": {"cohort", "measure", "dose", "evaluate"},
    "report": {"cohort", "datasets", "measure", "dose", "risk", "planning", "evaluate"},
}


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def requirements() -> list[Requirement]:
    """Every direct dependency but those of the GPU, which the constraints leave open."""
    groups = {"core": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    return [
        Requirement(text) for name, group in groups.items() if name != "cuda13" for text in group
    ]


def source_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str:
    """`dose` for `bayesdose.dose.model`; empty for the package itself."""
    return [*module.split("."), ""][1]


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "bayesdose":
            yield from (f"bayesdose.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_extras_are_those_that_are_promised() -> None:
    promised = {"images", "networks", "cuda13", "cluster", "docs", "test"}
    assert set(PROJECT["optional-dependencies"]) == promised


def test_constraints_are_names_and_versions() -> None:
    for name, version in constraints().items():
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
        assert re.fullmatch(r"[0-9][0-9A-Za-z.+]*", version)


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_every_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    pinned = {canonicalize_name(name): version for name, version in constraints().items()}
    version = pinned[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version, prereleases=True)


def test_python_version_of_the_project_is_supported() -> None:
    chosen = (ROOT / ".python-version").read_text(encoding="utf-8").strip()
    assert chosen in SpecifierSet(PROJECT["requires-python"])


def test_citation_names_the_version_and_the_licence() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {bayesdose.__version__}\n" in citation
    assert f"\nlicense: {PROJECT['license']}\n" in citation


def test_changelog_has_a_place_for_the_next_change() -> None:
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_make_lists_its_targets() -> None:
    listing = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for target in ("demo", "test", "bench", "sbc", "docs", "lint", "format"):
        assert f"make {target} " in listing


def test_missing_python_is_said_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "constraints.txt").touch()
    done = subprocess.run(
        ["make", "-f", str(ROOT / "Makefile"), "lint", "PYTHON=no-such-python"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "needs Python >= 3.12" in done.stderr
    assert "tried: no-such-python" in done.stderr
    assert "make PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_ci_script_calls_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").rstrip().endswith("exec make test")


@pytest.mark.parametrize(
    ("environment", "outcome"),
    [
        ({}, "1 skipped"),
        ({"BAYESDOSE_REQUIRE_DATA": "1"}, "1 error"),
        ({"BAYESDOSE_TEST_DATA": "no/such/folder"}, "1 error"),
        ({"BAYESDOSE_TEST_DATA": "."}, "1 passed"),
    ],
    ids=str,
)
def test_missing_data_cannot_hide_where_they_are_required(
    tmp_path: Path, environment: dict[str, str], outcome: str
) -> None:
    conftest = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
    (tmp_path / "test_it.py").write_text("def test_it(test_data): ...\n", encoding="utf-8")
    ours = ("BAYESDOSE_", "PYTEST_")
    outside = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    closing = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir", ".", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=outside | environment,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()[-1]
    assert closing.startswith(outcome)


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    here = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if here in {"__init__", "cli"}:
        return
    used = {room_of(name) for name in imported_modules(path) if name.startswith("bayesdose.")}
    public = {room for room in used if not room.startswith("_")}
    assert public - {here, "errors"} <= MAY_IMPORT.get(here, set())


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_pickled(path: Path) -> None:
    pickling = {"pickle", "cloudpickle", "dill", "shelve"}
    assert pickling.isdisjoint(name.partition(".")[0] for name in imported_modules(path))
