"""What every peer is told on its command line."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """The options that all peers have; ``doc`` is the module's, of which the first line counts."""
    parser = argparse.ArgumentParser(description=(doc or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--snapshot-date", type=date.fromisoformat, required=True)
    parser.add_argument("--first-day", type=date.fromisoformat, required=True)
    parser.add_argument("--k", type=int, nargs=2, required=True)
    parser.add_argument("--seed", type=int, default=1)
    return parser
