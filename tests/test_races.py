"""Two at once: whatever two runs do at the same time, they did one after the other."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psutil
import pytest
from conftest import Project
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from processes import program, said
from pyspark.sql import functions as F
from stores import assert_same_tables, rows_of, tables_of
from test_pipeline import CONFIG, SNAPSHOT, life, make_log

from rfm_spark import schemas
from rfm_spark.errors import ConflictError
from rfm_spark.pipeline import turns
from rfm_spark.tables import Fence, Store, delete

pytestmark = pytest.mark.slow
EARLIER = "2024-01-20"


def shop(folder: Path) -> Project:
    folder.mkdir(parents=True)
    project = Project(folder)
    project.configure(CONFIG.replace("k_range: [2, 3]", "k_range: [2, 2]"))
    make_log(project, life(12))
    return project


def at_once(project: Project, *commands: tuple[str, ...]) -> list[tuple[int, str]]:
    """Start commands at the same moment; gives exit status and text of each."""
    with ExitStack() as stack:
        processes = [stack.enter_context(program(project, *command)) for command in commands]
        texts = [said(process) for process in processes]
        return [(p.returncode, text) for p, text in zip(processes, texts, strict=True)]


@pytest.fixture(scope="module")
def one_by_one(spark, tmp_path_factory) -> Callable[..., Path]:
    """Stores that commands wrote one after the other, each made once."""
    made: dict[tuple[tuple[str, ...], ...], Path] = {}

    def store(*commands: tuple[str, ...]) -> Path:
        if commands not in made:
            project = shop(tmp_path_factory.mktemp("serial") / "shop")
            for command in commands:
                assert project.rfm(*command) == 0
            made[commands] = project.folder / "warehouse"
        return made[commands]

    return store


def assert_one_of(store: Path, serial: Iterable[Path]) -> None:
    """The tables are those of one of the stores; later ones are made only if it takes them."""
    here, others = tables_of(store), []
    for other in serial:
        if here == tables_of(other):
            return
        others.append(other)
    assert_same_tables(store, others[0])


RUN = ("run", "--snapshot-date", SNAPSHOT)
INGEST = ("ingest", "--from", "2024-01-30", "--to", "2024-01-31")


def test_the_same_date_twice_at_once_is_done_once(one_by_one, tmp_path) -> None:
    project = shop(tmp_path / "shop")
    (first, told), (second, also_told) = at_once(project, RUN, RUN)
    assert (first, second) == (0, 0), told + also_told
    assert sorted(
        f"segments of {SNAPSHOT} are up to date" in text for text in (told, also_told)
    ) == [False, True]
    assert_same_tables(project.folder / "warehouse", one_by_one(RUN))


@pytest.mark.release
def test_two_dates_at_once_are_done_one_after_the_other(one_by_one, tmp_path) -> None:
    ingest, early = ("ingest", "--to", "2024-01-31"), ("features", "--snapshot-date", EARLIER)
    late = ("features", "--snapshot-date", SNAPSHOT)
    project = shop(tmp_path / "shop")
    shutil.copytree(one_by_one(ingest), project.folder / "warehouse")
    for status, text in at_once(project, early, late):
        assert status == 0, text
    orders = ((early, late), (late, early))
    assert_one_of(project.folder / "warehouse", (one_by_one(ingest, *order) for order in orders))


@pytest.mark.release
def test_an_ingest_during_features_comes_before_or_after(one_by_one, tmp_path) -> None:
    ingest = ("ingest", "--from", "2024-01-01", "--to", "2024-01-31")
    features = ("features", "--snapshot-date", EARLIER)
    begin = ("ingest", "--to", "2024-01-19")
    project = shop(tmp_path / "shop")
    shutil.copytree(one_by_one(begin), project.folder / "warehouse")
    refused = ("features", "--snapshot-date", EARLIER, "--wait", "0")
    statuses = [status for status, _ in at_once(project, ingest, refused)]
    assert sorted(statuses) in ([0, 0], [0, 4])
    orders: list[tuple[tuple[str, ...], ...]] = [(ingest, features), (features, ingest)]
    if sorted(statuses) == [0, 4]:
        orders = [(ingest if statuses[0] == 0 else features,)]
    assert_one_of(project.folder / "warehouse", (one_by_one(begin, *order) for order in orders))


@pytest.fixture
def done(one_by_one, tmp_path) -> Project:
    """A shop with its date done."""
    project = shop(tmp_path / "shop")
    shutil.copytree(one_by_one(RUN), project.folder / "warehouse")
    return project


def add_run_elsewhere(project: Project, spark, started: datetime, turn: int | None = None) -> None:
    """A run on another machine that has begun, and has not ended."""
    runs = project.table(spark, "runs").where("status = 'started'").limit(1)
    turn = turn or project.table(spark, "runs").agg(F.max("turn")).first()[0] + 1
    changed = {
        "run_id": F.lit("of another machine"),
        "turn": F.lit(turn).cast("bigint"),
        "process": F.lit("elsewhere:0:0/7"),
        "started": F.lit(started),
    }
    row = runs.withColumns(changed)
    row.write.format("delta").mode("append").save(str(project.folder / "warehouse" / "runs"))


def test_a_run_on_another_machine_that_gives_no_sign_is_taken_for_dead(
    done, spark, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(turns, "DEAD_SECONDS", 2.0)
    add_run_elsewhere(done, spark, datetime.now(timezone.utc))
    begun = time.monotonic()
    assert done.rfm(*INGEST, "--wait", "0") == 0
    assert time.monotonic() - begun > 2
    assert "waiting for another run: run of 2024-02-01 on elsewhere" in capsys.readouterr().out


def test_one_of_an_hour_ago_is_not_waited_for(done, spark, capsys) -> None:
    add_run_elsewhere(done, spark, datetime.now(timezone.utc) - timedelta(hours=1))
    assert done.rfm(*INGEST, "--wait", "0") == 0
    assert "waiting" not in capsys.readouterr().out


def test_one_that_gives_signs_is_at_work(done, spark, capsys) -> None:
    add_run_elsewhere(done, spark, datetime.now(timezone.utc))
    before = rows_of(done.folder / "warehouse", "runs")
    stop, signs = threading.Event(), iter(range(1, 1000))

    def give() -> None:
        store = Store(spark, str(done.folder / "warehouse"), is_path=True)
        store.create(schemas.RUN_SIGNS)
        while not stop.wait(0.5):
            sign = {"rfm_spark.sign.of another machine": f"{next(signs)} {int(time.time())}"}
            store.set_properties("run_signs", sign)

    thread = threading.Thread(target=give)
    thread.start()
    try:
        assert done.rfm(*RUN, "--wait", "0") == 4
    finally:
        stop.set()
        thread.join()
    said = capsys.readouterr().err
    assert "another run is at work" in said
    assert "run of 2024-02-01 on elsewhere" in said
    assert rows_of(done.folder / "warehouse", "runs") == before


def test_a_process_number_that_is_used_again_is_another_process() -> None:
    here = turns.this_process().rpartition("/")[2]
    pid, begun = here.split(":")
    assert turns._lives(here)
    assert not turns._lives(f"{pid}:{int(begun) - 3600}")
    with subprocess.Popen(["true"]) as gone:
        ended = f"{gone.pid}:{int(psutil.Process(gone.pid).create_time())}"
        while psutil.Process(gone.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert not turns._lives(ended)
    assert not turns._lives(ended)


def test_a_run_that_only_slept_finds_closed_doors(done, spark) -> None:
    """Whoever takes over from a silent run fences off every table, also those it does not write."""
    store = Store(spark, str(done.folder / "warehouse"), is_path=True)
    slept, later = replace(store, fence=Fence("x", 7)), replace(store, fence=Fence("x", 8))
    labels = done.table(spark, "customer_segments")
    rows = spark.createDataFrame(labels.collect(), labels.schema)
    types = {field.name: field.dataType.simpleString() for field in labels.schema}
    columns = tuple(schemas.Field(name, type_) for name, type_ in types.items())
    table = schemas.Table("customer_segments", "labels", columns, ("snapshot_date",))
    later.fence_off(schemas.TABLE_NAMES, "later")
    before = store.version("customer_segments")
    add_run_elsewhere(done, spark, datetime.now(timezone.utc), turn=8)
    with pytest.raises(ConflictError, match="taken over"):
        slept.replace(table, rows.limit(0), f"snapshot_date = DATE'{SNAPSHOT}'", "slept")
    with pytest.raises(ConflictError, match="taken over"):
        delete(slept, "customer_segments", f"snapshot_date = DATE'{SNAPSHOT}'")
    assert store.version("customer_segments") == before
    assert done.table(spark, "customer_segments").count() == rows.count()


def test_a_run_says_that_it_is_at_work(done, spark, monkeypatch) -> None:
    monkeypatch.setattr(turns, "SIGN_SECONDS", 0.2)
    assert done.rfm("features", "--snapshot-date", SNAPSHOT) == 0
    last = done.table(spark, "runs").orderBy(F.desc("turn")).first()
    store = Store(spark, str(done.folder / "warehouse"), is_path=True)
    signs, given = store.properties("run_signs")[f"rfm_spark.sign.{last['run_id']}"].split()
    assert int(signs) >= 1
    assert abs(int(given) - time.time()) < 600


def test_a_run_that_was_taken_for_dead_writes_over_nothing(done, monkeypatch, capsys) -> None:
    """The first run sleeps before a table of its last stage; the second one does the whole date."""
    ready, go_on, ended = threading.Event(), threading.Event(), []
    replace = Store.replace

    def sleepy(store, table, *arguments):
        if table.name == "customer_segments" and threading.current_thread() is first:
            ready.set()
            go_on.wait(300)
        return replace(store, table, *arguments)

    monkeypatch.setattr(Store, "replace", sleepy)
    arguments = (*RUN, "--retrain", "--set", "clustering.max_iter=11")
    first = threading.Thread(target=lambda: ended.append(done.rfm(*arguments)))
    first.start()
    assert ready.wait(300)
    turns._active.clear()  # as if it were a process that is gone
    assert done.rfm(*RUN, "--retrain") == 0
    store = done.folder / "warehouse"
    after = {name: DeltaTable(str(store / name)).version() for name in tables_of(store)}
    go_on.set()
    first.join()
    assert ended == [4]
    assert "has taken over" in capsys.readouterr().err
    assert after == {name: DeltaTable(str(store / name)).version() for name in tables_of(store)}


def test_what_comes_in_between_is_written_over_where_delta_allows_it(done, spark) -> None:
    """Somebody else changes the partition while it is written; the write is made again."""
    store = Store(spark, str(done.folder / "warehouse"), is_path=True)
    before = done.table(spark, "customer_segments")
    rows, segments = before.count(), spark.createDataFrame(before.collect(), before.schema)
    slow = segments.withColumn(
        "rfm_cell", F.expr("if(reflect('java.lang.Thread', 'sleep', 400L) IS NULL, '111', '555')")
    )
    types = {field.name: field.dataType.simpleString() for field in segments.schema}
    columns = tuple(schemas.Field(name, type_) for name, type_ in types.items())
    table = schemas.Table("customer_segments", "labels", columns, ("snapshot_date",))
    outside = threading.Timer(
        1.0, lambda: spark.sql(f"UPDATE {store.identifier(table.name)} SET rfm_segment = 'x'")
    )
    version = store.version(table.name)
    outside.start()
    written = store.replace(table, slow.coalesce(1), f"snapshot_date = DATE'{SNAPSHOT}'", "a run")
    outside.join()
    assert written.rows == rows
    assert store.version(table.name) == version + 2
    assert done.table(spark, table.name).where("rfm_segment = 'x'").count() == 0


def test_readers_see_whole_old_or_whole_new_tables(done) -> None:
    store = done.folder / "warehouse"
    seen, stop = [], threading.Event()
    customers = len(rows_of(store, "customer_segments"))

    def read() -> None:
        while not stop.is_set():
            try:
                rows = DeltaTable(str(store / "customer_segments")).to_pyarrow_table()
            except TableNotFoundError:
                rows = None
            seen.append(rows and (rows.num_rows, frozenset(rows["model_version"].to_pylist())))

    thread = threading.Thread(target=read)
    thread.start()
    assert done.rfm(*RUN, "--retrain", "--set", "clustering.max_iter=11") == 0
    stop.set()
    thread.join()
    assert {rows for rows, _ in seen} == {customers}
    assert {len(models) for _, models in seen} == {1}
    assert len({models for _, models in seen}) == 2
