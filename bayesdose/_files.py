"""Files and folders that appear only when they are complete."""

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from bayesdose.errors import ConfigError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary name beside a file, which it takes over when nothing was raised.

    Parameters
    ----------
    path : Path
        File to write; its folder exists.

    Yields
    ------
    Path
        Name to write to. Unlike a file of ``tempfile`` it gets the usual permissions.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write UTF-8 text, atomically.

    Parameters
    ----------
    text : str
        Content.
    path : Path
        File.
    """
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def check_free(folder: Path, *, force: bool, sign: str | None = None) -> None:
    """Refuse a folder that holds something, before any work is done for it.

    Parameters
    ----------
    folder : Path
        Folder to be written; it need not exist.
    force : bool
        Whether files in it may be replaced.
    sign : str, optional
        File that an earlier run of the same command left; a folder with it may be written again.

    Raises
    ------
    ConfigError
        When the path is a file, the folder is not empty, or its place cannot be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; name a folder")
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    if not os.access(nearest, os.W_OK):
        raise ConfigError(f"{folder}: {nearest} may not be written to; name another folder")
    if not folder.is_dir() or force or (sign is not None and (folder / sign).is_file()):
        return
    if any(folder.iterdir()):
        raise ConfigError(
            f"{folder}: is not empty; name another folder, or replace the files of an earlier run "
            "with --force"
        )


@contextmanager
def whole_folder(folder: Path, may_hold: Collection[str]) -> Iterator[Path]:
    """Give a temporary folder, whose files move to their place when nothing was raised.

    Parameters
    ----------
    folder : Path
        Where the files go.
    may_hold : collection of str
        Files that a run can write, relative to the folder: those that this run did not write are
        removed, so that no file of an earlier run is taken for one of this. Others stay.

    Yields
    ------
    Path
        Temporary folder beside it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield partial
        written = [path.relative_to(partial) for path in partial.rglob("*") if path.is_file()]
        for name in written:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(partial / name, folder / name)
        for name in set(map(Path, may_hold)) - set(written):
            (folder / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
