"""What a report is made of, as plain data: bounded, and without any customer's id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal


@dataclass(frozen=True)
class About:
    """What the numbers mean: the settings that a reader has to know of.

    Args:
        snapshot_date: The day after the last day counted.
        currency: Label of money, may be empty.
        scale: Decimals of money.
        timezone: Of the business day.
        window_days: Days that sums look at; None: all history.
        roles: recency, frequency, monetary (and aum) to feature column.
        bins: The same roles to number of scores.
        has_aum: Whether any source says what customers hold.
        rules: Name of the rule map.
        psi_limit: From where on a feature's drift is an alarm.
        wcss_limit: The same of the WCSS per customer over that at the fit.
        discount_rate: Per period of the outlook.
    """

    snapshot_date: date
    currency: str = ""
    scale: int = 2
    timezone: str = "UTC"
    window_days: int | None = None
    roles: Mapping[str, str] = field(
        default_factory=lambda: {
            "recency": "recency_days",
            "frequency": "orders",
            "monetary": "monetary",
        }
    )
    bins: Mapping[str, int] = field(
        default_factory=lambda: {"recency": 5, "frequency": 5, "monetary": 5}
    )
    has_aum: bool = False
    rules: str = "crm_11"
    psi_limit: float = 0.2
    wcss_limit: float = 1.5
    discount_rate: float = 0.1


@dataclass(frozen=True)
class Segment:
    """A row of ``segment_profiles``; figures of features only for the report's own date."""

    day: date
    kind: str
    name: str
    rank: int
    customers: int
    share: float
    revenue: Decimal
    revenue_share: float | None
    pareto_customers: int | None
    action: str
    insight: str
    means: Mapping[str, float | None] = field(default_factory=dict)
    medians: Mapping[str, float | None] = field(default_factory=dict)
    attributes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """Customers of equal scores in a rule segment; ``has_purchase`` is False without any."""

    r: int
    f: int
    m: int
    segment: str
    has_purchase: bool
    customers: int
    revenue: Decimal


@dataclass(frozen=True)
class Overlap:
    """Customers that a rule segment and a cluster share."""

    segment: str
    cluster: str
    customers: int


@dataclass(frozen=True)
class Point:
    """A customer of the sample, without its name."""

    segment: str
    cluster: str
    rfm_score: float | None
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class CurvePoint:
    """The customers who bring most, and what they bring together."""

    customers: int
    revenue: Decimal


@dataclass(frozen=True)
class ScoreLine:
    """Customers of one rfm_score (to one decimal) and their mean AUM per day, or net spend."""

    rfm_score: float
    customers: int
    mean: float | None


@dataclass(frozen=True)
class Fit:
    """The best fit of a k in the sweep."""

    k: int
    wcss: float | None
    silhouette: float | None
    min_share: float | None
    stability: float | None
    chosen: bool


@dataclass(frozen=True)
class Model:
    """The model in force: its clusters as distances from the average customer.

    ``z`` has a row per cluster and a column per feature, in standard deviations of the transformed
    feature at the fit.
    """

    version: str
    snapshot_date: date
    algorithm: str
    k: int
    features: Sequence[str]
    transform: str
    names: Sequence[str]
    ranks: Sequence[int]
    z: Sequence[Sequence[float]]
    because: str
    silhouette: float | None
    customers: int
    fitted_rows: int
    agreement: float | None


@dataclass(frozen=True)
class Move:
    """A row of ``segment_migrations``; None is nowhere: new customers, or departed ones."""

    day: date
    previous: date
    kind: str
    origin: str | None
    target: str | None
    customers: int
    revenue: Decimal
    by_recut: int | None


@dataclass(frozen=True)
class Stability:
    """A row of ``segment_stability``."""

    day: date
    previous: date
    kind: str
    new: int
    departed: int
    customers: int
    kept: int
    kept_share: float | None
    agreement: float | None
    by_recut: int | None


@dataclass(frozen=True)
class Drift:
    """A row of ``drift``."""

    day: date
    model_version: str
    feature: str
    psi: float | None
    outside_share: float | None
    wcss_ratio: float | None
    alarm: bool


@dataclass(frozen=True)
class Outlook:
    """A row of ``segment_outlook``."""

    kind: str
    segment: str
    period: int
    previous: date
    customers: float
    revenue: Decimal
    discounted_revenue: Decimal
    customer_value: float | None


@dataclass(frozen=True)
class Event:
    """A row of ``segment_events``."""

    segment: str
    event: str
    segment_customers: int
    customers: int
    rate: float | None
    rate_lower: float | None
    rate_upper: float | None
    lift: float | None


@dataclass(frozen=True)
class Measure:
    """Rows and money of a source before the snapshot date, by where they went."""

    source: str
    measure: str
    rows: int
    amount: Decimal


@dataclass(frozen=True)
class Month:
    """What was accepted of the transactions of a calendar month; the last one may be cut short."""

    first_day: date
    rows: int
    amount: Decimal
    rejected: int


@dataclass(frozen=True)
class SourceDays:
    """Which days of a source are in.

    Args:
        source: Its name.
        first: First day with an accepted row; None without any.
        last: Last one.
        gaps: First and last day of runs of days without rows, newest first.
        gap_days: How many days all of these come to.
    """

    source: str
    first: date | None
    last: date | None
    gaps: Sequence[tuple[date, date]] = ()
    gap_days: int = 0


@dataclass(frozen=True)
class Edge:
    """A row of ``score_thresholds``."""

    metric: str
    score: int
    feature: str
    lower: float | None
    upper: float | None
    customers: int


@dataclass(frozen=True)
class Made:
    """How the tables that the report shows were made.

    Args:
        model_version: Of the clusters.
        thresholds_version: Of the scores.
        thresholds_date: The date that the edges were cut on.
        run_id: The run that wrote the labels; None where the ledger does not say.
        config_hash: Of that run's configuration.
        config_hash_now: Of the configuration that the report was made with.
        code_version: Of that run.
        report_version: Of the program that made the report.
        engine: Spark and Delta Lake, as the labels' last commit names them.
        settings: Name and value of every setting that is no default, without secrets.
        tables: Table to the version that the run made of it.
    """

    model_version: str | None
    thresholds_version: str | None
    thresholds_date: date | None
    run_id: str | None
    config_hash: str | None
    config_hash_now: str
    code_version: str | None
    report_version: str
    engine: str | None
    settings: Sequence[tuple[str, str]] = ()
    tables: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Records:
    """Everything on the page; what a store does not have is empty.

    ``aum`` is what all customers hold together, and None where no source says.
    ``is_stale`` tells that the date's labels rest on what has been written again since, and
    ``is_unfinished`` that a run of the date was killed or is still at work.
    """

    about: About
    segments: Sequence[Segment]
    cells: Sequence[Cell]
    made: Made
    overlaps: Sequence[Overlap] = ()
    sample: Sequence[Point] = ()
    sample_floor: int = 0
    curve: Sequence[CurvePoint] = ()
    score_lines: Sequence[ScoreLine] = ()
    aum: Decimal | None = None
    fits: Sequence[Fit] = ()
    model: Model | None = None
    moves: Sequence[Move] = ()
    stability: Sequence[Stability] = ()
    drift: Sequence[Drift] = ()
    outlook: Sequence[Outlook] = ()
    events: Sequence[Event] = ()
    measures: Sequence[Measure] = ()
    months: Sequence[Month] = ()
    days: Sequence[SourceDays] = ()
    edges: Sequence[Edge] = ()
    is_stale: bool = False
    is_unfinished: bool = False

    def of_kind(self, kind: str) -> list[Segment]:
        """The date's segments of a kind, best first."""
        day = self.about.snapshot_date
        own = [one for one in self.segments if one.kind == kind and one.day == day]
        return sorted(own, key=lambda one: (one.rank, one.name))

    @property
    def dates(self) -> list[date]:
        """The snapshot dates that the history has, oldest first."""
        return sorted({one.day for one in self.segments})

    @property
    def customers(self) -> int:
        """All customers of the date."""
        return sum(one.customers for one in self.of_kind("rfm"))

    @property
    def revenue(self) -> Decimal:
        """What they brought, refunds taken off."""
        return sum((one.revenue for one in self.of_kind("rfm")), Decimal(0))
