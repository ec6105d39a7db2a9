"""Validate the docstrings of public functions, classes and methods against numpydoc.

Run by ``make lint``; the checks are listed in pyproject.toml. The objects themselves are looked
at, not the source, because only they show the parameters of a dataclass.
"""

import dataclasses
import importlib
import inspect
import pkgutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import ERROR_MSGS, Validator, validate

import bayesdose

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def active_checks() -> set[str]:
    """Codes to check: "all" turns the other entries into waivers, as in numpydoc itself."""
    settings = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["numpydoc_validation"]
    listed = set(settings["checks"])
    unknown = listed - ERROR_MSGS.keys() - {"all"}
    if unknown:
        raise ValueError(f"no numpydoc checks: {sorted(unknown)}")
    return ERROR_MSGS.keys() - listed if "all" in listed else listed


def public_modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(bayesdose.__path__, "bayesdose."):
        if not any(part.startswith("_") for part in module.name.split(".")):
            yield module.name


def public_objects(module_name: str) -> Iterator[str]:
    """Import paths of what a module defines itself, down to methods."""
    module = importlib.import_module(module_name)
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module_name:
            continue
        if inspect.isfunction(value) or inspect.isclass(value):
            yield f"{module_name}.{name}"
        if inspect.isclass(value):
            for attribute, member in vars(value).items():
                if not attribute.startswith("_") and is_method(member):
                    yield f"{module_name}.{name}.{attribute}"


def is_method(member: object) -> bool:
    return isinstance(member, property | classmethod | staticmethod) or inspect.isfunction(member)


def fields_are_attributes(path: str) -> bool:
    """Whether a dataclass documents its fields as attributes, as results do."""
    value = Validator._load_obj(path)
    if not (inspect.isclass(value) and dataclasses.is_dataclass(value)):
        return False
    entries = NumpyDocString(inspect.getdoc(value))["Attributes"]
    documented = {name for entry in entries for name in entry.name.split(", ")}
    return {field.name for field in dataclasses.fields(value)} <= documented


def problems() -> Iterator[str]:
    checks = active_checks()
    for module_name in public_modules():
        for path in public_objects(module_name):
            report = validate(path)
            if not report["docstring"]:
                continue
            waived = {"PR01"} if fields_are_attributes(path) else set()
            for code, message in report["errors"]:
                if code in checks - waived:
                    yield f"{report['file']}:{report['file_line']}: {code} {path}: {message}"


if __name__ == "__main__":
    found = list(problems())
    print("\n".join(found) or "Docstrings are in order.")
    sys.exit(bool(found))
