"""Starts the program with a point at which it kills itself, its JVM included.

Arguments: the point, then the program's own. A point is ``TABLE before``, ``TABLE during`` (its
data files are there, and no commit yet), ``TABLE after``, or ``pipeline`` (half saved).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from pyspark.ml.util import JavaMLWriter

from rfm_spark.cli import main
from rfm_spark.tables import Store


def die() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


def files_of(folder: Path) -> set[str]:
    """Data files; folders may vanish while they are looked at."""
    walked = os.walk(folder)
    return {f"{place}/{name}" for place, _, names in walked for name in names if "part-" in name}


def die_at_files(folder: Path) -> None:
    """Wait for files that were not there, and die before they are committed."""
    before = files_of(folder)

    def watch() -> None:
        while not files_of(folder) - before:
            time.sleep(0.001)
        die()

    threading.Thread(target=watch, daemon=True).start()


table, _, moment = sys.argv.pop(1).partition(" ")
write = Store._write


def dying(store, schema, *arguments):
    hit = schema.name == table
    if hit and moment == "before":
        die()
    if hit and moment == "during":
        die_at_files(Path(store.address(table)))
    written = write(store, schema, *arguments)
    if hit and moment == "after":
        die()
    return written


def half_saved(writer, path) -> None:
    die_at_files(Path(path))
    save(writer, path)


Store._write = dying
if table == "pipeline":
    save, JavaMLWriter.save = JavaMLWriter.save, half_saved
sys.exit(main())
