"""Files of an export: written aside, then given their names, with a manifest last of all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.export_batches import Batch
from rfm_spark.session import temporarily

ROWS_PER_FILE = 500_000
"""A receiver has its limits (Braze: 512 MB a file), and so has what one task can do."""
# Of a larger file, Spark cannot take the content into one row.
_MOST_HASHED = 2**31 - 1
_CHUNK = 1 << 20
# Spark's default is a type that readers take for a time without a zone.
_EXACT_TIMES = {"spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS"}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PART, _IS_ROW = "part", "_is_row"


@dataclass(frozen=True)
class Place:
    """Where files go.

    On a file system that the driver sees they are ``<folder>/<stem><suffix>``, numbered where there
    is more than one. Elsewhere they are what Spark writes into the folder ``<folder>/<stem>``.

    Args:
        folder: Folder or URI.
        stem: Their name without number and suffix.
        suffix: As in ``.csv``.
        manifest: Folder or URI, and name, of the manifest.
    """

    folder: str
    stem: str
    suffix: str
    manifest: str


@dataclass(frozen=True)
class Lines:
    """How text is written: what ends a line, and the first line of each file if there is one."""

    end: str = "\n"
    header: str | None = None


def write_files(
    context: Context,
    rows: DataFrame,
    place: Place,
    *,
    columns: Mapping[str, Column],
    order: Sequence[Column],
    files: int,
    lines: Lines | None,
) -> dict[str, str | None]:
    """Write rows in a fixed order into files of fixed names.

    The same rows give the same files for any number of partitions. Rows are dealt to files by a
    hash of the order's columns. What was there under the place's manifest goes, manifest first.

    Args:
        context: The run.
        rows: What is to be written.
        place: Where to.
        columns: Name to column of what is written; of text one column.
        order: Expressions over ``rows`` that no two rows share, as far as it matters.
        files: How many files.
        lines: How text is written; None: Parquet.

    Returns:
        File name, below ``folder``, to SHA-256; None for a file that is too large to be hashed
        where it is.
    """
    keys = {f"_key{i}": key for i, key in enumerate(order)}
    dealt = F.pmod(F.xxhash64(*(key.cast("string") for key in order)), F.lit(files)).cast("int")
    chosen = rows.select(
        dealt.alias(_PART),
        F.lit(1).alias(_IS_ROW),
        *(column.alias(name) for name, column in keys.items()),
        *(column.alias(name) for name, column in columns.items()),
    )
    if lines is not None and lines.header is not None:
        (name,) = columns
        first = [(part, 0, lines.header) for part in range(files)]
        headers = context.spark.createDataFrame(first, f"{_PART} int, {_IS_ROW} int, {name} string")
        chosen = chosen.unionByName(headers, allowMissingColumns=True)
    target = f"{place.folder.rstrip('/')}/{place.stem}"
    remove_manifest(place)
    dealt_out = chosen.repartition(files, _PART).sortWithinPartitions(_PART, _IS_ROW, *keys)
    written = dealt_out.select(*([_PART] if files > 1 else []), *columns)
    writer = written.write.mode("overwrite").option("maxRecordsPerFile", 0)
    if files > 1:
        writer = writer.partitionBy(_PART)
    if lines is None:
        with temporarily(context.spark, _EXACT_TIMES):
            writer.option("compression", "snappy").parquet(target)
    else:
        writer.option("compression", "none").option("lineSep", lines.end).text(target)
    seen = local_path(target)
    if seen is not None and seen.is_dir():
        return _named(seen, place)
    return _hashed_there(context, target, place.stem)


def local_path(location: str) -> Path | None:
    """A location as a path of this machine; None for a URI of elsewhere.

    A location without a scheme may still be elsewhere: where Spark's default file system is not
    this machine's.
    """
    if location.startswith("file:"):
        return Path(unquote(urlsplit(location).path))
    return None if _SCHEME.match(location) else Path(location)


def manifest(
    batch: Batch,
    *,
    type_: str,
    rows: int,
    columns: Sequence[str],
    files: Mapping[str, str | None],
) -> dict[str, Any]:
    """What a manifest says; of one file, its name and SHA-256 at the top."""
    listed = [{"name": name, "sha256": digest} for name, digest in files.items()]
    one = {"file": listed[0]["name"], "sha256": listed[0]["sha256"]} if len(listed) == 1 else {}
    return {
        "export": batch.export,
        "type": type_,
        "batch": batch.number,
        "snapshot_date": str(batch.snapshot_date),
        "started": batch.timestamp,
        "rows": rows,
        "columns": list(columns),
        **one,
        "files": listed,
    }


def write_manifest(context: Context, place: Place, content: Mapping[str, Any]) -> None:
    """Write what there is and how it can be checked, after everything else."""
    text = json.dumps(content, ensure_ascii=False, indent=1)
    path, folder = local_path(place.manifest), local_path(place.folder)
    if path is not None and folder is not None and (folder / content["files"][0]["name"]).is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}")
        aside.write_text(f"{text}\n", encoding="utf-8")
        aside.replace(path)
        return
    frame = context.spark.createDataFrame([(text,)], "value string").coalesce(1)
    frame.write.mode("overwrite").text(place.manifest)


def is_there(context: Context, location: str) -> bool:
    """Whether there is a file or a folder of files."""
    path = local_path(location)
    if path is not None and path.exists():
        return True
    try:
        return bool(context.spark.read.text(location).limit(1).collect())
    except AnalysisException:
        return False


def remove_manifest(place: Place) -> None:
    """Take away a manifest that the driver sees, and then the files that it names."""
    path = local_path(place.manifest)
    if path is None or not path.is_file():
        return
    named = json.loads(path.read_text(encoding="utf-8")).get("files", [])
    path.unlink()
    folder = local_path(place.folder)
    if folder is not None:
        for file in named:
            (folder / Path(file["name"]).name).unlink(missing_ok=True)


def _named(written: Path, place: Place) -> dict[str, str | None]:
    """Give the files of a folder that Spark has written their own names beside it."""
    parts = sorted(written.glob("**/part-*"), key=_number)
    named: dict[str, str | None] = {}
    for at, part in enumerate(parts, start=1):
        count = "" if len(parts) == 1 else f"-{at:05}-of-{len(parts):05}"
        name = f"{place.stem}{count}{place.suffix}"
        digest = _digest(part)
        part.replace(written.parent / name)
        named[name] = digest
    shutil.rmtree(written)
    return named


def _number(part: Path) -> int:
    folder, _, number = part.parent.name.partition("=")
    return int(number) if folder == _PART and number.isdecimal() else 0


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
        os.fsync(content.fileno())
    return digest.hexdigest()


def _hashed_there(context: Context, folder: str, stem: str) -> dict[str, str | None]:
    """SHA-256 of files that only executors see."""
    reader = context.spark.read.format("binaryFile").option("pathGlobFilter", "part-*")
    found = reader.option("recursiveFileLookup", "true").load(folder)
    rows = found.select("path", "length").collect()
    small = found.where(F.col("length") < _MOST_HASHED)
    digests = small.select("path", F.sha2("content", 256).alias("digest")).collect()
    by_path = {row["path"]: row["digest"] for row in digests}
    names = {row["path"]: _below(row["path"], stem) for row in rows}
    return {names[path]: by_path.get(path) for path in sorted(names)}


def _below(path: str, stem: str) -> str:
    """The name of a file that Spark wrote, from the folder of its export on."""
    *_, parent, name = path.split("/")
    return f"{stem}/{parent}/{name}" if parent.startswith(f"{_PART}=") else f"{stem}/{name}"
