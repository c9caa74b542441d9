"""The program ``rfm-spark``: one subcommand per stage."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rfm_spark.arguments import parser
from rfm_spark.checking import check_lines
from rfm_spark.config import Configuration, RfmSettings, load_configuration
from rfm_spark.errors import ConfigurationError, RfmSparkError
from rfm_spark.jdbc_drivers import driver_of, redacted

if TYPE_CHECKING:
    from rfm_spark.display import JsonDisplay, TerminalDisplay
    from rfm_spark.pipeline import Context

UNEXPECTED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        arguments: The command line without the program's name; None takes it from ``sys.argv``.

    Returns:
        The exit status: 0 done, 1 unexpected, 2 usage or configuration, 3 data refused, 4 lost a
        race against another run.
    """
    options = parser().parse_args(arguments)
    if options.command == "schema":
        sys.stdout.write(json.dumps(RfmSettings.model_json_schema(), indent=2) + "\n")
        return 0
    display = _display(options.log_format)
    redact: Callable[[str], str] = redacted

    def failed(message: str) -> None:
        display.failed(redact(message))
        if options.verbose:
            sys.stderr.write(redact(traceback.format_exc()))

    try:
        configuration = load_configuration(options.config, options.set)
        redact = configuration.redacted
        if options.command == "check":
            lines = check_lines(configuration, verbose=options.verbose)
            sys.stdout.write("\n".join(lines) + "\n")
        else:
            _execute(options, configuration, display)
    except RfmSparkError as error:
        failed(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        display.failed("interrupted; what was published stays, the same command goes on")
        return 130
    except Exception as error:
        reason = str(error).strip().splitlines() or [""]
        failed(f"unexpected {type(error).__name__}: {reason[0]} (-v shows the stack)")
        return UNEXPECTED
    return 0


def _display(log_format: str) -> TerminalDisplay | JsonDisplay:
    from rfm_spark.display import JsonDisplay, TerminalDisplay  # noqa: PLC0415

    return JsonDisplay() if log_format == "json" else TerminalDisplay()


def _execute(
    options: argparse.Namespace,
    configuration: Configuration,
    display: TerminalDisplay | JsonDisplay,
) -> None:
    """Start Spark and run a stage. Spark is imported here, so that the rest answers at once."""
    _refuse_contradictions(options, configuration)
    page = _page(options)
    start = time.monotonic()
    try:
        from rfm_spark import pipeline  # noqa: PLC0415
        from rfm_spark.pipeline.execution import execute, look  # noqa: PLC0415
        from rfm_spark.session import spark_session  # noqa: PLC0415
        from rfm_spark.summary import show_runs, show_segments  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the Python package {error.name} is missing: install rfm-spark[spark], or run the job "
            "with spark-submit on a cluster that brings PySpark"
        ) from error

    snapshot_date: date | None = getattr(options, "snapshot_date", None)
    work: dict[str, Callable[[Context], None]] = {
        "ingest": lambda c: pipeline.ingest(c, first=options.first, last=_last_day(options)),
        "features": lambda c: pipeline.features(c, snapshot_date=options.snapshot_date),
        "train": lambda c: (pipeline.train_if_due if options.if_due else pipeline.train)(
            c, snapshot_date=options.snapshot_date
        ),
        "segment": lambda c: pipeline.segment(
            c, snapshot_date=options.snapshot_date, compare_to=options.compare_to
        ),
        "run": lambda c: pipeline.run(
            c, snapshot_date=options.snapshot_date, retrain=options.retrain
        ),
        "export": lambda c: pipeline.export(
            c, name=options.name, snapshot_date=options.snapshot_date
        ),
        "maintain": pipeline.maintain,
        "forget": lambda c: pipeline.forget(c, customers=options.customers),
    }
    looks: dict[str, Callable[[Context], None]] = {
        "runs": lambda c: show_runs(c, display, options.limit),
        "describe": lambda c: _describe(c, options),
        "experiment": lambda c: pipeline.experiment(
            c, name=options.name, snapshot_date=options.snapshot_date
        ),
        "report": lambda c: pipeline.report(
            c, snapshot_date=options.snapshot_date, out=page or Path(options.out)
        ),
    }
    display.working("starting Spark")
    drivers = {driver_of(url) for url in configuration.settings.jdbc_urls} - {None}
    with spark_session(
        f"rfm-spark {options.command}",
        drivers=[driver for driver in drivers if driver is not None],
        verbose=options.verbose,
    ) as spark:
        show = partial(look, spark, configuration, display, command=options.command)
        done: Context | None = None
        if options.command in looks:
            show(work=looks[options.command])
        elif options.command == "backfill":
            dates = options.every.dates(options.first, options.last)
            pipeline.backfill(
                spark, configuration, display, dates, last=options.last, patience=options.wait
            )
            snapshot_date = dates[-1]
        else:
            done = execute(
                spark,
                configuration,
                display,
                command=options.command,
                snapshot_date=snapshot_date,
                work=work[options.command],
                patience=options.wait,
            )
        if options.command in {"segment", "run", "backfill"}:
            assert snapshot_date is not None
            show(work=lambda c: show_segments(c, display, snapshot_date), after=done)
    if options.command != "runs":
        display.done(time.monotonic() - start, configuration.settings.store)
    if page is not None:
        display.note(f"report: {page.absolute()}")


def _refuse_contradictions(options: argparse.Namespace, configuration: Configuration) -> None:
    """What the command line asks for and cannot be, said before Spark starts."""
    if getattr(options, "first", None) and options.first > (last := _last_day(options)):
        raise ConfigurationError(f"--from {options.first} lies after the last day, {last}")
    for day in getattr(options, "compare_to", ()):
        if day >= options.snapshot_date:
            raise ConfigurationError(
                f"--compare-to {day} must lie before --snapshot-date {options.snapshot_date}"
            )
    exports = configuration.settings.exports
    if getattr(options, "name", None) is not None and options.name not in exports:
        flag = "--to" if options.command == "export" else "--export"
        raise ConfigurationError(
            f"{flag} {options.name}: `exports` has no such name; it has "
            f"{', '.join(sorted(exports)) or 'none'}"
        )
    compared = getattr(options, "compare", None) or ("", None)
    if compared[0] == compared[1]:
        raise ConfigurationError(f"--compare takes two segments, and got {compared[0]} twice")


def _page(options: argparse.Namespace) -> Path | None:
    """Where the report goes; whatever speaks against it is said before Spark starts."""
    if options.command != "report":
        return None
    from rfm_spark.report.needed import check_packages  # noqa: PLC0415
    from rfm_spark.report.output import check_place  # noqa: PLC0415

    check_packages()
    return check_place(options.out)


def _last_day(options: argparse.Namespace) -> date:
    last: date = options.last or options.snapshot_date - timedelta(days=1)
    return last


def _describe(context: Context, options: argparse.Namespace) -> None:
    from rfm_spark import pipeline  # noqa: PLC0415

    if options.compare:
        pipeline.compare(
            context, *options.compare, snapshot_date=options.snapshot_date, kind=options.kind
        )
    else:
        pipeline.describe(context, snapshot_date=options.snapshot_date)


if __name__ == "__main__":
    sys.exit(main())
