"""Starts the program with a point at which it kills itself, its JVM included.

Arguments: a table, then the program's own. The point is in the middle of the table's first write:
its data files are there, and no commit yet.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

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


table = sys.argv.pop(1)
write = Store._write


def dying(store, schema, *arguments):
    if schema.name == table:
        die_at_files(Path(store.address(table)))
    return write(store, schema, *arguments)


Store._write = dying
sys.exit(main())
