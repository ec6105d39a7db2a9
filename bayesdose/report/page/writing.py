"""From a `Page` to one HTML file that fetches nothing. Every text is escaped by the templates."""

import re
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from bayesdose._files import write_text
from bayesdose.errors import ConfigError
from bayesdose.report.page.blocks import Page
from bayesdose.report.page.policy import content_security_policy

if TYPE_CHECKING:
    from jinja2 import Environment

#: A page above this size opens slowly everywhere and not at all in some mail programs.
MAX_BYTES = 20_000_000


def render(page: Page, style: str = "") -> str:
    """Write a page as HTML.

    Parameters
    ----------
    page : Page
    style : str
        CSS of this kind of page, after that of every page; of the package, never of a user.

    Returns
    -------
    str

    Raises
    ------
    ConfigError
        When it is larger than `MAX_BYTES`.
    """
    style, script = f"{_text('style.css')}\n{style}".strip(), _text("script.js")
    html = (
        _environment()
        .get_template("page/base.html")
        .render(
            page=page,
            style=style,
            script=script,
            policy=content_security_policy(style, script),
        )
    )
    size = len(html.encode())
    if size > MAX_BYTES:
        raise ConfigError(
            f"the page would take {size / 1e6:.0f} MB, more than the {MAX_BYTES / 1e6:.0f} MB that "
            "one may have: show fewer patients"
        )
    return html


def write_page(page: Page, path: str | Path, style: str = "") -> Path:
    """Write a page to a file, atomically.

    Parameters
    ----------
    page : Page
    path : str or Path
        Ends in ``.html``; its folder exists.
    style : str
        As of `render`.

    Returns
    -------
    Path

    Raises
    ------
    ConfigError
        When the name ends otherwise, the folder is not there, or the page is too large.
    """
    place = check_place(path)
    write_text(render(page, style), place)
    return place


def check_place(path: str | Path) -> Path:
    """Refuse a place for a page before any work is done for it.

    Parameters
    ----------
    path : str or Path
        File to be written.

    Returns
    -------
    Path

    Raises
    ------
    ConfigError
        When the name does not end in .html, is that of a folder, or the folder is not there.
    """
    if not isinstance(path, str | Path):
        raise ConfigError(f"path: got {path!r}; give the name of a file")
    place = Path(path)
    if place.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{place}: the page is HTML; give a file whose name ends in .html")
    if place.is_dir():
        raise ConfigError(f"{place}: is a folder; name a file")
    if not place.absolute().parent.is_dir():
        raise ConfigError(f"{place}: there is no folder {place.parent}; make it")
    try:
        # some file systems take no new files although access is allowed
        with tempfile.TemporaryFile(dir=place.absolute().parent):
            pass
    except OSError as err:
        raise ConfigError(
            f"{place}: nothing can be written to {place.absolute().parent} ({err.strerror}); name "
            "another folder"
        ) from err
    return place


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = files("bayesdose.report")
    found = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["indices"] = _indices
    return found


def _indices(line: str) -> list[tuple[str, bool]]:
    """Parts of a formula, and whether each is an index."""
    parts = re.split(r"_\{([^{}]*)\}", line)
    return [(part, bool(i % 2)) for i, part in enumerate(parts) if part]


@cache
def _text(name: str) -> str:
    return files("bayesdose.report").joinpath("page", name).read_text(encoding="utf-8").strip()
