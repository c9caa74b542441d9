"""A kill at any moment, and the same command again: the tables of an undisturbed run."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from conftest import Project
from processes import program, said
from pyspark.ml.util import JavaMLWriter
from stores import assert_same_tables
from test_pipeline import SNAPSHOT, life, make_log

from rfm_spark.tables import Store

pytestmark = pytest.mark.slow
EARLIER = "2024-01-20"
CONFIG = """
    store: ./warehouse
    timezone: Africa/Lagos
    sources:
      transactions:
        format: csv
        path: ./log
        options: {header: true}
        columns: {customer_id: user, transaction_ts: at, amount: paid, order_id: basket}
      balances:
        kind: snapshot
        format: csv
        path: ./balances.csv
        options: {header: true}
        columns: {customer_id: user, account_id: account, balance_date: day, balance: balance}
      events:
        format: csv
        path: ./events.csv
        options: {header: true}
        columns: {customer_id: user, event_ts: at, event: kind}
    max_rejected_share: 0.5
    retrain: {every_days: 1}
    clustering: {k_range: [2, 3], seeds: 1, max_iter: 10}
"""
RUN = ("run", "--snapshot-date", SNAPSHOT)
# Tables that later writes of the same command, or the next command, go on from.
FOUNDATIONS = frozenset(
    {
        "customer_daily",
        "customer_segments",
        "feature_state",
        "ingest_report",
        "models",
        "pipeline",
        "runs",
    }
)
WRITTEN = FOUNDATIONS | {
    "balance_daily",
    "customer_features",
    "drift",
    "k_sweep",
    "rejected_transactions",
    "score_thresholds",
    "segment_events",
    "segment_migrations",
    "segment_outlook",
    "segment_profiles",
    "segment_separation",
    "segment_stability",
}


@pytest.fixture(scope="module")
def first_date(spark, tmp_path_factory) -> Project:
    """A shop with balances and events, and one date done."""
    project = Project(tmp_path_factory.mktemp("kills") / "shop")
    project.folder.mkdir()
    project.configure(CONFIG)
    make_log(project, [*life(12), ("c001", "2024-01-25", "twelve", "o"), ("", "2024-01-26", 1, "")])
    balances = [f"c{n:03},x,2024-01-{day},{n * day}.50" for n in range(12) for day in (15, 24, 31)]
    text = "\n".join(["user,account,day,balance", *balances, "c001,x,2024-01-28,much"])
    (project.folder / "balances.csv").write_text(text + "\n")
    (project.folder / "events.csv").write_text(
        "user,at,kind\nc001,2024-01-05,coupon\nc002,2024-01-25,coupon\n,2024-01-26,coupon\n"
    )
    assert project.rfm("run", "--snapshot-date", EARLIER) == 0
    return project


def copy_of(project: Project, folder: Path) -> Project:
    shutil.copytree(project.folder, folder)
    return Project(folder)


class Killed(BaseException):
    """Ends an attempt; what it writes after its point is not in the copy that goes on."""


class Attempt:
    """One start of a command, up to the first point that no attempt before it came to.

    Delta makes a write with its last file, the commit; what is there without that file is what a
    kill at any moment of the write leaves. So is what a pipeline is saved as, without some files.
    """

    def __init__(self, project: Project, folder: Path, ahead: set[str]) -> None:
        self.project = project
        self.folder = folder
        self.ahead = ahead
        self.left: Project | None = None
        self.lock = threading.RLock()  # one thread writes while another goes on

    def reaches(self, point: str) -> bool:
        """Whether to stop here: at the first write of a table, and never twice."""
        return self.left is None and point in self.ahead

    def leave(self, point: str) -> Path:
        self.ahead.remove(point)
        self.left = copy_of(self.project, self.folder)
        return self.folder / "warehouse"

    def written(self, table: str) -> None:
        """Leave the store as it was before the newest commit of a table, its files being there."""
        if self.reaches(table):
            log = self.leave(table) / table / "_delta_log"
            newest = max(log.glob("*.json")).stem
            for file in log.iterdir():  # the commit, and what is written after it
                if newest in file.name or "_last_checkpoint" in file.name:
                    file.unlink()
            raise Killed

    def saved(self, path: str) -> None:
        """Leave a pipeline of which only half of the files are there."""
        if self.reaches("pipeline"):
            place = Path(path).relative_to(self.project.folder / "warehouse")
            for file in sorted((self.leave("pipeline") / place).rglob("*"))[::2]:
                if file.is_file():
                    file.unlink()
            raise Killed


def attempted(
    project: Project, command: tuple[str, ...], folder: Path, ahead: set[str]
) -> Project | None:
    """The shop as a kill leaves it at the next point ahead, None if the command came to its end."""
    attempt = Attempt(project, folder, ahead)
    write, save = Store._write, JavaMLWriter.save

    def writing(store, table, *arguments):
        with attempt.lock:
            if attempt.left:
                raise Killed
            written = write(store, table, *arguments)
            attempt.written(table.name)
        return written

    def saving(writer, path):
        with attempt.lock:
            save(writer, path)
            attempt.saved(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "_write", writing)
        patch.setattr(JavaMLWriter, "save", saving)
        try:
            status = project.rfm(*command)
        except Killed:
            status = None
    assert attempt.left or status == 0
    return attempt.left


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(FOUNDATIONS, id="of what others rest on"),
        pytest.param(WRITTEN, id="of anything", marks=pytest.mark.release),
    ],
)
def test_a_kill_in_any_write_leaves_nothing_that_the_same_command_does_not_mend(
    first_date, undisturbed, tmp_path, points
) -> None:
    """Each stage of the second date as a command of its own, killed once more in each table."""
    project, reached = copy_of(first_date, tmp_path / "shop"), set()
    for name in ("ingest", "features", "train", "segment"):
        command, ahead = (name, "--snapshot-date", SNAPSHOT), set(points)
        while left := attempted(project, command, tmp_path / f"{name} {len(ahead)}", ahead):
            shutil.rmtree(project.folder)
            project = left
        reached |= points - ahead
    assert reached == points
    assert_same_tables(project.folder / "warehouse", undisturbed.folder / "warehouse")


@pytest.fixture(scope="module")
def undisturbed(first_date, tmp_path_factory) -> Project:
    """The second date by one run that nobody disturbs."""
    project = copy_of(first_date, tmp_path_factory.mktemp("undisturbed") / "shop")
    assert project.rfm(*RUN) == 0
    return project


@pytest.mark.release  # a backfill is killed like that in `test_history`, executors in `test_places`
def test_a_driver_that_is_killed_ends_where_an_undisturbed_one_does(
    first_date, undisturbed, tmp_path
) -> None:
    """A real process, killed with its JVM (SIGKILL) while it writes the labels."""
    project = copy_of(first_date, tmp_path / "shop")
    code = Path(__file__).with_name("killed.py")
    with program(project, *RUN, code=code, point="customer_segments") as process:
        text = said(process)
    assert process.returncode == -9, text
    assert project.rfm(*RUN) == 0
    assert_same_tables(project.folder / "warehouse", undisturbed.folder / "warehouse")
