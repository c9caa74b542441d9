"""The command line of ``rfm-spark``: its subcommands, and the values that their options take."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

from rfm_spark import __version__
from rfm_spark.config.steps import Step


def parser() -> argparse.ArgumentParser:
    """One subcommand for each stage, and for what one does with their tables."""
    program = argparse.ArgumentParser(
        prog="rfm-spark",
        description="RFM + AUM features, rule segments and clusters on PySpark and Delta Lake.",
    )
    program.add_argument("--version", action="version", version=f"rfm-spark {__version__}")
    commands = program.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = _common()
    dated = argparse.ArgumentParser(add_help=False)
    dated.add_argument(
        "--snapshot-date",
        type=_day,
        required=True,
        metavar="YYYY-MM-DD",
        help="the day after the last day counted",
    )

    def command(
        name: str, about: str, *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, description=about, parents=list(parents))

    ingest = command("ingest", "read the raw log of some days, clean it, write daily facts", common)
    ingest.add_argument("--from", dest="first", type=_day, metavar="YYYY-MM-DD", help="first day")
    upto = ingest.add_mutually_exclusive_group(required=True)
    upto.add_argument("--to", dest="last", type=_day, metavar="YYYY-MM-DD", help="last day")
    upto.add_argument(
        "--snapshot-date",
        type=_day,
        metavar="YYYY-MM-DD",
        help="the day after the last day, for schedulers that know but one date",
    )
    command("features", "compute RFM and AUM of every customer", common, dated)
    train = command("train", "cut score edges, sweep k, fit the clusters", common, dated)
    train.add_argument(
        "--if-due",
        action="store_true",
        help="only where `run` would: without a model, or where `retrain` asks for one",
    )
    segment = command(
        "segment", "score and label every customer, describe the segments", common, dated
    )
    segment.add_argument(
        "--compare-to",
        type=_day,
        action="append",
        default=[],
        metavar="YYYY-MM-DD",
        help="say who moved since this snapshot date too, beside the previous one; repeatable",
    )
    run = command("run", "all four stages, each only as far as needed", common, dated)
    run.add_argument("--retrain", action="store_true", help="fit a new model on this date")
    backfill = command("backfill", "run every snapshot date of a range, oldest first", common)
    backfill.add_argument(
        "--from", dest="first", type=_day, required=True, metavar="YYYY-MM-DD", help="first date"
    )
    backfill.add_argument(
        "--to", dest="last", type=_day, required=True, metavar="YYYY-MM-DD", help="last date"
    )
    backfill.add_argument(
        "--every",
        type=_step,
        required=True,
        metavar="STEP",
        help="calendar steps from the first date: 7d, 1w, 1mo, 1y",
    )
    export = command("export", "write a configured export of a date", common, dated)
    export.add_argument(
        "--to", dest="name", required=True, metavar="NAME", help="which one of `exports`"
    )
    experiment = command(
        "experiment", "show what an export's hold-out says until a date", common, dated
    )
    experiment.add_argument(
        "--export", dest="name", required=True, metavar="NAME", help="which one of `exports`"
    )
    report = command("report", "write one HTML page about a date", common, dated)
    report.add_argument(
        "--out", required=True, metavar="FILE.html", help="the page, a local file; replaced"
    )
    runs = command("runs", "show the run ledger, newest first", common)
    runs.add_argument(
        "--limit", type=_count, default=20, metavar="N", help="how many (default: 20)"
    )
    describe = command("describe", "explore the sources and the features", common)
    describe.add_argument(
        "--snapshot-date",
        type=_day,
        metavar="YYYY-MM-DD",
        help="rows before it, features of it; without it all rows and the newest features",
    )
    describe.add_argument(
        "--compare",
        nargs=2,
        metavar=("SEGMENT", "SEGMENT"),
        help="two segments side by side, instead",
    )
    describe.add_argument("--kind", choices=["rfm", "cluster"], help="of segments to compare")
    command("maintain", "put small files together, remove old files and rows", common)
    forget = command(
        "forget", "remove customers from every table and from the files of the store", common
    )
    forget.add_argument(
        "--customers",
        type=_file,
        required=True,
        metavar="FILE",
        help="their ids, one on a line (UTF-8)",
    )
    command("check", "check configuration and rule map, without data and without Java", common)
    command("schema", "print the JSON Schema of the configuration, for editors")
    return program


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", required=True, metavar="FILE", help="the YAML configuration")
    common.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="section.key=value",
        help="override one setting; repeatable",
    )
    common.add_argument(
        "--wait",
        type=_seconds,
        default=600.0,
        metavar="SECONDS",
        help="how long to wait for another run that writes the same store (default: 600)",
    )
    common.add_argument("--log-format", choices=["text", "json"], default="text")
    common.add_argument("-v", "--verbose", action="store_true", help="Spark's own log, full stacks")
    return common


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date as in 2026-01-31") from None


def _step(text: str) -> Step:
    try:
        return Step.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _file(text: str) -> list[str]:
    """The lines of a file, without empty ones and without a heading."""
    try:
        lines = Path(text).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be read: {error}") from None
    ids = [line for line in lines if line.strip() and line != "customer_id"]
    if not ids:
        raise argparse.ArgumentTypeError(f"{text} names no customer")
    return ids


def _seconds(text: str) -> float:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds")
    return float(text)
