"""Writes that go on behind the caller's back keep their order, and fail loudly."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from rfm_spark.write_queue import WriteQueue


@pytest.fixture
def queue(spark):
    made = WriteQueue(spark)
    yield made
    made.close()


def test_writes_keep_their_order_and_a_table_waits_for_those_before_it(queue) -> None:
    done, gate = [], threading.Event()
    queue.add("runs", lambda: gate.wait(10) and done.append("runs"))
    queue.add("models", partial(done.append, "models"))
    queue.add("drift", partial(done.append, "drift"))
    queue.settle("customer_segments")  # nothing of it is pending
    assert done == []
    gate.set()
    queue.settle("models")
    assert done[:2] == ["runs", "models"]
    queue.settle()
    assert done == ["runs", "models", "drift"]


def test_a_failure_is_raised_once_and_what_was_behind_it_is_dropped(queue) -> None:
    done, gate = [], threading.Event()

    def fail() -> None:
        gate.wait(10)
        raise ValueError("the disk is full")

    queue.add("k_sweep", fail)
    queue.add("models", partial(done.append, "models"))
    gate.set()
    with pytest.raises(ValueError, match="the disk is full"):
        queue.settle("models")
    queue.settle()
    assert done == []
    queue.add("runs", partial(done.append, "runs"))
    queue.settle()
    assert done == ["runs"]


def test_closing_drops_what_has_not_begun(queue) -> None:
    done, begun, gate = [], threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        gate.wait(10)
        done.append("slow")

    queue.add("drift", slow)
    queue.add("models", partial(done.append, "models"))
    assert begun.wait(10)
    threading.Timer(0.2, gate.set).start()
    queue.close()
    assert done == ["slow"]
