"""What leaves the store: sent once, whole, harmless, and measured."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import statistics
from collections import defaultdict
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from conftest import Project
from deltalake import DeltaTable, write_deltalake

from rfm_spark import schemas
from rfm_spark.config import load_configuration
from rfm_spark.display import TerminalDisplay
from rfm_spark.pipeline import changed_exports, export_files
from rfm_spark.pipeline.execution import new_context
from rfm_spark.pipeline.maintenance import _remove_old_payloads
from rfm_spark.tables import Store

pytestmark = pytest.mark.slow
FIRST, SECOND = "2024-01-20", "2024-02-01"
QUOTED, FORMULA, SCRIPT = 'Say "hi", you', "=cmd()|' /C calc'!A0", "<script>alert(1)</script>"
BEST = '+Best, "of" all'
IDS = [
    'o\'neil "x", y',
    "line\nbreak",
    "=1+1",
    "-5",
    "@me",
    "\ttab",
    "<b>bold</b>",
    "Zoë 🎈",
    "plain",
    "back\\slash",
    "a,b",
    "{}",
]
CONFIG = """
    store: ./warehouse
    timezone: Africa/Lagos
    currency: NGN
    sources:
      transactions:
        path: ./log
        columns: {customer_id: user, transaction_ts: at, amount: paid}
    scoring: {rules: ./map.yaml}
    clustering: {k: 2, names: ["+Best, \\"of\\" all", "Rest"]}
    campaigns: {'Say "hi", you': "Win, \\"back\\"", "+Best, \\"of\\" all": never}
    exports:
      crm: {type: braze, path: ./out of here/crm, holdout: 0.3, salt: s}
      cdp: {type: cdp_identify, path: ./cdp, columns: [customer_id, rfm_segment, monetary]}
      chosen: {type: braze, path: ./chosen, segments: ['Say "hi", you'], format: parquet}
      mail: {type: sfmc_csv, path: ./mail}
      raw: {type: csv, path: ./raw, table: customer_daily, formulas: keep}
      lake: {type: parquet, path: ./lake, columns: [customer_id, monetary, rfm_segment]}
    """
MAP = {
    "first_match": True,
    "segments": [
        {"name": QUOTED, "recency_days": [None, 5]},
        {"name": FORMULA, "recency_days": [6, 12]},
    ],
    "otherwise": {"name": SCRIPT},
}


def segment_of(n: int, day: str) -> str:
    """Every third customer goes to another segment between the dates; one is gone."""
    names = (QUOTED, FORMULA, SCRIPT)
    return names[n % 3] if day == FIRST or n % 3 else SCRIPT


def on(day: str) -> list[str]:
    return IDS if day == FIRST else IDS[:-1]


def labels(day: str) -> list[dict]:
    return [
        {
            "snapshot_date": date.fromisoformat(day),
            "customer_id": who,
            "monetary": Decimal(n) / 4 - 1,
            "rfm_segment": segment_of(n, day),
            "cluster_segment": BEST if n % 2 else "Rest",
        }
        for n, who in enumerate(IDS)
        if who in on(day)
    ]


def purchases() -> list[dict]:
    """Every second customer buys after the first date, one of them only gives back."""
    days = [
        (who, f"2024-01-{day}", n * 10, -n)
        for n, who in enumerate(IDS)
        for day in (18, 20, 31)
        if n % 2 or day == 18
    ]
    return [
        {
            "activity_date": date.fromisoformat(day),
            "customer_id": who,
            "orders": 0 if who == "@me" else 1,
            "lines": 0 if who == "@me" else 2,
            "purchase_amount": Decimal(paid),
            "refund_lines": 1,
            "refund_amount": Decimal(back),
        }
        for who, day, paid, back in [*days, ("@me", "2024-01-22", 0, -7)]
    ]


def write(project: Project, table: schemas.Table, records: list[dict]) -> None:
    """Rows as a run would have left them, without Spark."""
    types = {
        "string": pa.string(),
        "date": pa.date32(),
        "bigint": pa.int64(),
        "int": pa.int32(),
        "double": pa.float64(),
        "timestamp": pa.timestamp("us", "UTC"),
        "decimal(28,2)": pa.decimal128(28, 2),
    }
    fields = [pa.field(f.name, types[f.type], f.nullable) for f in table.fields]
    rows = [{field.name: record.get(field.name) for field in fields} for record in records]
    write_deltalake(
        str(project.folder / "warehouse" / table.name),
        pa.Table.from_pylist(rows, pa.schema(fields)),
        partition_by=list(table.partition_by),
        mode="overwrite",
    )


@pytest.fixture(scope="module")
def labelled(spark, tmp_path_factory) -> Project:
    """A shop whose names are as bad as can be, and two dates of it."""
    project = Project(tmp_path_factory.mktemp("exports") / "a shop")
    project.folder.mkdir()
    project.configure(CONFIG)
    (project.folder / "map.yaml").write_text(json.dumps(MAP), encoding="utf-8")
    table = schemas.customer_segments("string", [schemas.Field("monetary", schemas.money(2))])
    write(project, table, [*labels(FIRST), *labels(SECOND)])
    write(project, schemas.customer_daily("string", 2), purchases())
    return project


@pytest.fixture(scope="module")
def sent(labelled, tmp_path_factory) -> Project:
    """The same with the first date sent to the CRM."""
    project = copy_of(labelled, tmp_path_factory.mktemp("sent") / "a shop")
    export(project, "crm")
    return project


def copy_of(project: Project, folder: Path) -> Project:
    shutil.copytree(project.folder, folder)
    return Project(folder)


def export(project: Project, name: str, day: str = FIRST, status: int = 0) -> None:
    assert project.rfm("export", "--snapshot-date", day, "--to", name) == status


def said(capsys) -> str:
    told = capsys.readouterr()
    return " ".join((told.out + told.err).split())


def files(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def lines(folder: Path, batch: int) -> list[dict]:
    (file,) = folder.glob(f"data/*-{batch:06}-*.jsonl")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n")[:-1]]


def stored(project: Project, table: str) -> list[dict]:
    return DeltaTable(str(project.folder / "warehouse" / table)).to_pyarrow_table().to_pylist()


def is_control(who: str) -> bool:
    digits = hashlib.sha256(f"s\n{who}".encode()).hexdigest()[:13]
    return int(digits, 16) / 16**13 < 0.3


def attributes(n: int, day: str) -> dict[str, str | None]:
    """By hand: the campaign goes by the rule segment, else by the cluster's name."""
    segment, cluster = segment_of(n, day), BEST if n % 2 else "Rest"
    campaign = 'Win, "back"' if segment == QUOTED else "never" if n % 2 else None
    return {"rfm_segment": segment, "cluster_segment": cluster, "campaign": campaign}


NOTHING = {"rfm_segment": None, "cluster_segment": None, "campaign": None}
TREATED = [who for who in IDS if not is_control(who)]
CHANGES = {  # of the second date
    who: attributes(n, SECOND) if who in on(SECOND) else NOTHING
    for n, who in enumerate(IDS)
    if who in TREATED and (who not in on(SECOND) or segment_of(n, FIRST) != segment_of(n, SECOND))
}


def payloads(rows: list[dict]) -> dict[str, dict]:
    assert len({row["EXTERNAL_ID"] for row in rows}) == len(rows)
    return {row["EXTERNAL_ID"]: json.loads(row["PAYLOAD"]) for row in rows}


def test_only_who_has_changed_is_sent_and_nothing_twice(sent, tmp_path, capsys) -> None:
    assert 0 < len(CHANGES) < len(TREATED) < len(IDS)
    shop = copy_of(sent, tmp_path / "shop")
    folder = shop.folder / "out of here" / "crm"
    first = lines(folder, 1)
    assert payloads(first) == {who: attributes(IDS.index(who), FIRST) for who in TREATED}
    before = files(folder)
    capsys.readouterr()
    export(shop, "crm")
    assert "nothing has changed since batch 1 of 2024-01-20: nothing was sent" in said(capsys)
    assert files(folder) == before
    export(shop, "crm", SECOND)
    second = lines(folder, 2)
    assert payloads(second) == CHANGES
    for batch, rows in ((1, first), (2, second)):
        (moment,) = {row["UPDATED_AT"] for row in rows}
        at = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
        assert at in {row["started"] for row in stored(shop, "runs")}
        (file,) = folder.glob(f"manifests/*-{batch:06}-*.manifest.json")
        manifest = json.loads(file.read_text())
        data = (folder / "data" / manifest["file"]).read_bytes()
        assert manifest["sha256"] == hashlib.sha256(data).hexdigest()
        assert (manifest["rows"], manifest["started"]) == (len(rows), moment)
    assert {name: files(folder)[name] for name in before} == before
    # Who was there on a later date alone would be drawn then; who was drawn stays.
    arms = {row["customer_id"]: row for row in stored(shop, "export_assignments")}
    assert {who: row["arm"] == "control" for who, row in arms.items()} == {
        who: is_control(who) for who in IDS
    }
    assert {str(row["assigned_on"]) for row in arms.values()} == {FIRST}
    assert {who: row["segment"] for who, row in arms.items()} == {
        who: segment_of(n, FIRST) for n, who in enumerate(IDS)
    }
    capsys.readouterr()
    export(shop, "crm", FIRST, status=3)
    assert "older segments would replace newer ones" in said(capsys)


def test_a_kill_at_any_step_loses_no_change_and_sends_none_in_two_ways(
    sent, tmp_path, monkeypatch
) -> None:
    """Copies of a shop as kills would leave it: before each commit, and around each file."""
    shop, copies = copy_of(sent, tmp_path / "shop"), []
    folder = Path("out of here") / "crm"
    write_delta = Store._write

    def keep(name: str) -> Project:
        copies.append((name, copy_of(shop, tmp_path / f"{len(copies)} {name}")))
        return copies[-1][1]

    def writing(store, table, *arguments):
        written = write_delta(store, table, *arguments)
        if table.name.startswith("export_"):
            log = keep(table.name).folder / "warehouse" / table.name / "_delta_log"
            newest = max(log.glob("*.json")).stem
            for file in log.iterdir():
                if newest in file.name:
                    file.unlink()
        return written

    def writing_files(*arguments, **named):
        written = export_files.write_files(*arguments, **named)
        half = keep("half a file").folder / folder / "data"
        (whole,) = half.glob("*-000002-*")
        aside = half / whole.stem
        aside.mkdir()
        (aside / "part-00000-x.txt").write_bytes(whole.read_bytes()[:100])
        whole.unlink()
        return written

    with monkeypatch.context() as patch:
        patch.setattr(Store, "_write", writing)
        patch.setattr(changed_exports, "write_files", writing_files)
        export(shop, "crm", SECOND)
    undisturbed = files(shop.folder / folder)
    points = [name for name, _ in copies]
    assert points == ["export_changes", "half a file", "export_batches"]
    for name, killed in copies:
        export(killed, "crm", SECOND)
        assert payloads(lines(killed.folder / folder, 2)) == CHANGES, name
        found = files(killed.folder / folder)
        assert set(found) == set(undisturbed), name
        if name != "export_changes":
            assert found == undisturbed, name


def test_who_leaves_the_chosen_segments_is_told_so(labelled, tmp_path) -> None:
    shop = copy_of(labelled, tmp_path / "shop")
    members = {n: who for n, who in enumerate(IDS) if segment_of(n, FIRST) == QUOTED}
    for day in (FIRST, SECOND):
        export(shop, "chosen", day)
    found = sorted((shop.folder / "chosen" / "data").glob("*"))
    assert [file.name for file in found] == [
        f"chosen-00000{n}-{day}.parquet" for n, day in ((1, FIRST), (2, SECOND))
    ]
    read = "SELECT EXTERNAL_ID, PAYLOAD, typeof(UPDATED_AT) FROM read_parquet(?)"
    rows = [duckdb.execute(read, [str(file)]).fetchall() for file in found]
    sent = [{who: json.loads(text) for who, text, _ in part} for part in rows]
    assert sent[0] == {who: attributes(n, FIRST) for n, who in members.items()}
    assert sent[1] == dict.fromkeys(members.values(), NOTHING)
    assert {type_ for part in rows for _, _, type_ in part} == {"TIMESTAMP WITH TIME ZONE"}


def test_identify_calls_hold_any_name_exactly(labelled, tmp_path) -> None:
    shop = copy_of(labelled, tmp_path / "shop")
    export(shop, "cdp")
    calls = lines(shop.folder / "cdp", 1)
    assert {call["userId"]: call["traits"] for call in calls} == {
        who: {
            "rfm_segment": segment_of(n, FIRST),
            "monetary": float(Decimal(n) / 4 - 1),
            "campaign": attributes(n, FIRST)["campaign"],
        }
        for n, who in enumerate(IDS)
    }
    assert {call["type"] for call in calls} == {"identify"}
    assert len({call["messageId"] for call in calls}) == len(IDS)
    assert all(len(call["messageId"]) <= 100 for call in calls)
    (file,) = (shop.folder / "cdp" / "data").glob("*")
    read = duckdb.execute("SELECT userId FROM read_json(?)", [str(file)]).fetchall()
    assert sorted(row[0] for row in read) == sorted(IDS)


def test_a_csv_file_holds_any_name_and_starts_no_formula(labelled, tmp_path) -> None:
    shop = copy_of(labelled, tmp_path / "shop")
    export(shop, "mail")
    folder = shop.folder / "mail" / f"snapshot_date={FIRST}"
    assert sorted(files(folder)) == ["_mail.manifest.json", "mail.csv"]
    data = (folder / "mail.csv").read_bytes()
    with (folder / "mail.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert next(iter(rows[0])) == "customer_id"
    guarded = {"=1+1": "'=1+1", "@me": "'@me", "\ttab": "'\ttab", "-5": "-5"}
    by_id = {row["customer_id"]: row for row in rows}
    assert set(by_id) == {guarded.get(who, who) for who in IDS}
    for n, who in enumerate(IDS):
        row, segment = by_id[guarded.get(who, who)], segment_of(n, FIRST)
        assert row["rfm_segment"] == (f"'{segment}" if segment == FORMULA else segment)
        assert row["cluster_segment"] == (f"'{BEST}" if n % 2 else "Rest")
        assert Decimal(row["monetary"]) == Decimal(n) / 4 - 1
        assert row["campaign"] == (attributes(n, FIRST)["campaign"] or "")
    query = "SELECT customer_id, rfm_segment FROM read_csv(?, header=true, all_varchar=true)"
    read = duckdb.execute(query, [str(folder / "mail.csv")]).fetchall()
    assert sorted(read) == sorted((row["customer_id"], row["rfm_segment"]) for row in rows)
    manifest = json.loads((folder / "_mail.manifest.json").read_text())
    assert manifest["sha256"] == hashlib.sha256(data).hexdigest()
    assert (manifest["rows"], manifest["columns"]) == (len(IDS), list(rows[0]))
    (folder / "_mail.manifest.json").unlink()
    export(shop, "mail")
    assert (folder / "mail.csv").read_bytes() == data
    assert (folder / "_mail.manifest.json").is_file()


def test_any_table_goes_out_in_as_many_files_as_it_takes(
    labelled, tmp_path, monkeypatch, capsys
) -> None:
    shop = copy_of(labelled, tmp_path / "shop")
    monkeypatch.setattr(export_files, "ROWS_PER_FILE", 5)
    export(shop, "lake")
    folder = shop.folder / "lake" / f"snapshot_date={FIRST}"
    names = [f"lake-0000{n}-of-00003.parquet" for n in (1, 2, 3)]
    assert sorted(files(folder)) == ["_lake.manifest.json", *names]
    query = "SELECT customer_id, monetary, rfm_segment, campaign FROM read_parquet(?)"
    parts = [duckdb.execute(query, [str(folder / name)]).fetchall() for name in names]
    assert all(part == sorted(part, key=lambda row: row[0].encode()) for part in parts)
    expected = [
        (who, Decimal(n) / 4 - 1, segment_of(n, FIRST), attributes(n, FIRST)["campaign"])
        for n, who in enumerate(IDS)
    ]
    assert sorted(row for part in parts for row in part) == sorted(expected)
    manifest = json.loads((folder / "_lake.manifest.json").read_text())
    assert [file["name"] for file in manifest["files"]] == names
    # A table of all days, where files are only seen by executors: they stay as Spark names them.
    monkeypatch.setattr(export_files, "local_path", lambda location: None)
    export(shop, "raw")
    export(shop, "raw")
    assert "nothing is new" in said(capsys)
    folder = shop.folder / "raw" / f"snapshot_date={FIRST}"
    (text,) = (folder / "_raw.manifest.json").glob("part-*")
    manifest, rows = json.loads(text.read_text()), []
    for file in manifest["files"]:
        data = (folder / file["name"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file["sha256"]
        rows += list(csv.DictReader(data.decode().splitlines(keepends=True)))
    assert manifest["rows"] == len(rows) == len(purchases())
    assert {row["customer_id"] for row in rows} == set(IDS)  # formulas: keep


def test_an_experiment_counts_the_days_from_the_assignment_on(sent, capsys) -> None:
    capsys.readouterr()
    arguments = ("--export", "crm", "--snapshot-date", "2024-01-31", "--log-format", "json")
    assert sent.rfm("experiment", *arguments) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    arms, effects = (line["rows"] for line in told if line["event"] == "table")
    days = [row for row in purchases() if FIRST <= str(row["activity_date"]) < "2024-01-31"]
    spent, bought = defaultdict(Decimal), set()
    for row in days:
        spent[row["customer_id"]] += row["purchase_amount"] + row["refund_amount"]
        bought |= {row["customer_id"]} if row["lines"] else set()
    for row in arms:
        own = [
            who
            for n, who in enumerate(IDS)
            if is_control(who) == (row["arm"] == "control")
            and row["segment"] in ("(all)", segment_of(n, FIRST))
        ]
        assert (row["customers"], row["buyers"]) == (len(own), len(bought & set(own)))
        assert Decimal(row["revenue"]) == sum(spent[who] for who in own)
    assert len(arms) == 2 * 4
    treated, held = ([spent[w] for w in IDS if is_control(w) is c] for c in (False, True))
    both = {(row["segment"], row["measure"]): row for row in effects}
    total = both["(all)", "revenue"]
    assert total["difference"] == pytest.approx(
        float(statistics.mean(treated) - statistics.mean(held))
    )
    assert total["difference from"] < total["difference"] < total["difference to"]
    assert not any(who in json.dumps(told) for who in ("plain", "a,b"))
    assert sent.rfm("experiment", "--export", "mail", "--snapshot-date", SECOND) == 3
    assert sent.rfm("experiment", "--export", "crm", "--snapshot-date", FIRST) == 3
    assert sent.rfm("experiment", "--export", "nobody", "--snapshot-date", FIRST) == 2
    assert "it has cdp, chosen, crm" in said(capsys)


def test_upkeep_keeps_the_newest_payload_and_forgetting_none(spark, sent, tmp_path) -> None:
    shop = copy_of(sent, tmp_path / "shop")
    now = datetime(2024, 1, 1, tzinfo=timezone.utc)
    key = {"export": "old", "snapshot_date": date(2024, 1, 1), "updated_at": now}
    old = [(1, "plain"), (1, "a,b"), (2, "plain"), (3, "{}"), (4, "plain")]
    changes = [
        {**key, "batch": batch, "customer_id": who, "payload": f"{batch}"} for batch, who in old
    ]
    table = schemas.export_changes("string")
    write(shop, table, [*changes, *stored(shop, "export_changes")])
    configuration = load_configuration(shop.config, ["maintain.keep_snapshots=2"])
    context = new_context(spark, configuration, TerminalDisplay(), "maintain")
    _remove_old_payloads(context, ["export_changes"])
    own = [row for row in stored(shop, "export_changes") if row["export"] == "old"]
    assert sorted((row["batch"], row["customer_id"]) for row in own) == [
        (1, "a,b"),
        (3, "{}"),
        (4, "plain"),
    ]
    assert sum(row["export"] == "crm" for row in stored(shop, "export_changes")) == len(TREATED)
    for name in ("customer_daily", "customer_segments"):
        shutil.rmtree(shop.folder / "warehouse" / name)  # each takes seconds to vacuum
    (shop.folder / "list.txt").write_text("plain\na,b\n")
    assert shop.rfm("forget", "--customers", str(shop.folder / "list.txt")) == 0
    for name in ("export_changes", "export_assignments"):
        assert stored(shop, name)
        assert not {"plain", "a,b"} & {row["customer_id"] for row in stored(shop, name)}
