"""A folder that appears only when it is complete."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bayesdose.errors import ConfigError


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
        When the path is a file, or the folder is not empty.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; name a folder")
    if not folder.is_dir() or force or (sign is not None and (folder / sign).is_file()):
        return
    if any(folder.iterdir()):
        raise ConfigError(
            f"{folder}: is not empty; name another folder, or allow files in it to be replaced "
            "with --force"
        )


@contextmanager
def completed(folder: Path) -> Iterator[Path]:
    """Give a folder to write to, whose files move to their place when nothing was raised.

    Files of the same names are replaced; others stay as they are.

    Parameters
    ----------
    folder : Path
        Where the files go.

    Yields
    ------
    Path
        Temporary folder beside it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield partial
        for source in sorted(partial.rglob("*")):
            target = folder / source.relative_to(partial)
            if source.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(source, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
