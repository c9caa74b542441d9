"""Where the page goes."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from rfm_spark.errors import ConfigurationError

_ENDINGS = (".html", ".htm")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def check_place(out: str) -> Path:
    """The file that ``--out`` names; relative paths start at the working directory.

    Raises:
        ConfigurationError: It is no local HTML file, or there is a folder of that name.
    """
    if _URI.match(out):
        raise ConfigurationError(
            f"--out {out}: the report is written to a local file, as report.html (a volume or a "
            "mounted bucket is one too), and not to a URI"
        )
    path = Path(out)
    if path.suffix.lower() not in _ENDINGS:
        raise ConfigurationError(f"--out {out}: the report is an HTML page; name it *.html")
    if path.is_dir():
        raise ConfigurationError(f"--out {out}: there is a folder of that name; name a file")
    return path


def write_page(page: str, path: Path) -> None:
    """Write the page beside its place and put it there whole; missing folders are made.

    Raises:
        ConfigurationError: The folder cannot be made, or nothing can be written into it.
    """
    unfinished: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="\n", dir=path.parent, prefix=".report-", delete=False
        ) as file:
            unfinished = Path(file.name)
            file.write(page)
        _make_readable(unfinished)
        unfinished.replace(path)
    except OSError as error:
        if unfinished is not None:
            with suppress(OSError):
                unfinished.unlink()
        raise ConfigurationError(f"--out {path} cannot be written: {error}") from error


def _make_readable(file: Path) -> None:
    """Temporary files are their owner's alone; a report is as readable as any new file."""
    mask = os.umask(0)
    os.umask(mask)
    with suppress(OSError):  # some mounted volumes have no modes
        file.chmod(0o666 & ~mask)
