"""Commits: what they bear, and when one may be made again."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from rfm_spark.errors import ConflictError

APPLICATION = "rfm_spark"
ATTEMPTS = 5
_WRITES_PER_TURN = 1_000_000
Result = TypeVar("Result")
# Delta's conflicts are Java classes that PySpark does not translate; over Connect they are text.
_CONFLICT = re.compile(
    r"Concurrent(Append|DeleteRead|DeleteDelete|Transaction|Write|Modification)Exception|"
    r"(MetadataChanged|ProtocolChanged)Exception|"
    r"DELTA_(CONCURRENT_|METADATA_CHANGED|PROTOCOL_CHANGED)"
)
# All but the transaction's: that one means that a later turn has written the table. A write says
# itself which rows it replaces, so it may be made again on top of whatever came in between.
_MAY_BE_REPEATED = re.compile(
    r"Concurrent(Append|DeleteRead|DeleteDelete|Write)Exception|"
    r"(MetadataChanged|ProtocolChanged)Exception|"
    r"DELTA_(CONCURRENT_(APPEND|DELETE_READ|DELETE_DELETE|WRITE)|METADATA_CHANGED|PROTOCOL_CHANGED)"
)


@dataclass(frozen=True)
class Written:
    """A commit: the table's version after it, and the rows that it wrote."""

    version: int
    rows: int


@dataclass
class Fence:
    """The number that a run's commits bear, so that a table refuses those of an earlier turn.

    Delta keeps the largest number per table and application, and leaves out a write that bears one
    that is not larger (``txnAppId`` and ``txnVersion``).

    Args:
        ledger: Id of the table whose versions the turns are.
        turn: The run's turn.
        writes: How many writes it has begun.
    """

    ledger: str
    turn: int
    writes: int = 0

    def next_options(self) -> dict[str, str]:
        """Writer options of the next write."""
        self.writes += 1
        number = self.turn * _WRITES_PER_TURN + self.writes
        return {"txnAppId": f"{APPLICATION} {self.ledger}", "txnVersion": str(number)}


def retrying(write: Callable[[], Result]) -> Result:
    """Write, and again where somebody else's commit came in between and Delta says it may be.

    Raises:
        ConflictError: A later run has taken over, or others came in between again and again.
    """
    again = Retrying(
        retry=retry_if_exception(lambda error: bool(_MAY_BE_REPEATED.search(str(error)))),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.5, max=10),
        reraise=True,
    )
    try:
        return again(write)
    except Exception as error:
        if _CONFLICT.search(str(error)):
            raise ConflictError(
                "another program changed the same rows at the same time and won; nothing of this "
                "write was published, run the command again"
            ) from error
        raise
