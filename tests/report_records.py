"""Records for reports, made by hand: a shop with three segments, and what may go wrong with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from rfm_spark.report.records import (
    About,
    Cell,
    CurvePoint,
    Drift,
    Edge,
    Event,
    Fit,
    Made,
    Measure,
    Model,
    Month,
    Move,
    Outlook,
    Overlap,
    Point,
    Records,
    ScoreLine,
    Segment,
    SourceDays,
    Stability,
)

TODAY, BEFORE = date(2024, 3, 1), date(2024, 2, 1)
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "=cmd|'/C calc'!A0",
    'comma, "quote"\nnew line',
    "</script><script>document.title='owned'</script>",
    "<a href='javascript:alert(3)'>x</a> %{label} $x^2$ &amp; {{ 7 * 7 }}",
]


def segment(name, rank, customers, revenue, *, kind="rfm", day=TODAY, attributes=None):
    everybody, money = (10, Decimal("1000.00"))
    features = {"recency_days": 5.0 * rank, "orders": 12.0 / rank, "monetary": 100.0 / rank}
    today = day == TODAY
    return Segment(
        day,
        kind,
        name,
        rank,
        customers,
        customers / everybody,
        Decimal(revenue),
        float(Decimal(revenue) / money),
        customers // 2,
        "Thank: send a card",
        f"{customers / everybody:.1%} of customers, 1.0% of revenue: recent (5 days): thank",
        features if today else {},
        features if today else {},
        ({"region": {"north": 0.5, "south": 0.5}} if attributes is None else attributes)
        if today
        else {},
    )


def shop(names=("Best", "Slipping", "Gone"), clusters=("Big", "Small")) -> Records:
    """Ten customers at two dates; Slipping has r 1, f 5 and brought 300 of 1,000."""
    best, slipping, gone = names
    big, small = clusters
    today = [
        segment(best, 1, 4, "650.00"),
        segment(slipping, 2, 3, "300.00"),
        segment(gone, 3, 3, "50.00"),
        segment(big, 1, 6, "900.00", kind="cluster"),
        segment(small, 2, 4, "100.00", kind="cluster"),
    ]
    before = [
        segment(best, 1, 5, "500.00", day=BEFORE),
        segment(gone, 3, 4, "80.00", day=BEFORE),
        segment(big, 1, 9, "580.00", kind="cluster", day=BEFORE),
    ]
    points = [
        Point(
            names[n % 3],
            clusters[n % 2],
            1 + n % 5,
            {"recency_days": 1.0 + n, "orders": 1.0 + n % 4, "monetary": 10.0 * n - 20},
        )
        for n in range(10)
    ]
    curve = [CurvePoint(n, Decimal(100 * n)) for n in range(1, 11)]
    outlook = [
        Outlook("rfm", name, period, BEFORE, 4.0 - period, Decimal(90), Decimal(80 + period), 21.5)
        for name in names
        for period in range(3)
    ]
    return Records(
        About(TODAY, "EUR"),
        [*today, *before],
        [
            Cell(5, 5, 5, best, True, 4, Decimal("650.00")),
            Cell(1, 5, 4, slipping, True, 3, Decimal("300.00")),
            Cell(1, 1, 1, gone, True, 2, Decimal("50.00")),
            Cell(1, 1, 1, gone, False, 1, Decimal("0.00")),
        ],
        Made(
            "2024-03-01-abcdef01",
            "2024-03-01-12345678",
            TODAY,
            "f00d",
            "deadbeef",
            "deadbeef",
            "0.1.0",
            "0.1.0",
            "Apache-Spark/4.2.0 Delta-Lake/4.4.0",
            [("currency", "EUR")],
            {"customer_segments": 7},
        ),
        overlaps=[Overlap(best, big, 4), Overlap(slipping, big, 2), Overlap(gone, small, 4)],
        sample=points,
        curve=curve,
        score_lines=[ScoreLine(1.0, 4, 12.0), ScoreLine(5.0, 6, 140.0)],
        fits=[
            Fit(1, 40.0, None, 1.0, None, False),
            Fit(2, 20.0, 0.6, 0.4, 1.0, True),
            Fit(3, 15.0, 0.5, 0.1, 0.9, False),
        ],
        model=Model(
            "2024-03-01-abcdef01",
            TODAY,
            "kmeans",
            2,
            ("recency_days", "orders", "monetary"),
            "log1p",
            clusters,
            (1, 2),
            [[-0.5, 0.5, 0.6], [0.9, -0.8, -0.7]],
            "highest silhouette, 0.600",
            0.6,
            10,
            10,
            None,
        ),
        moves=[
            Move(TODAY, BEFORE, "rfm", best, best, 3, Decimal(30), 0),
            Move(TODAY, BEFORE, "rfm", best, slipping, 2, Decimal(-4), 0),
            Move(TODAY, BEFORE, "rfm", gone, gone, 3, Decimal(0), 0),
            Move(TODAY, BEFORE, "rfm", gone, None, 1, Decimal(0), 0),
            Move(TODAY, BEFORE, "rfm", None, best, 2, Decimal(90), 0),
        ],
        stability=[Stability(TODAY, BEFORE, "rfm", 2, 1, 8, 6, 0.75, 0.5, 0)],
        drift=[
            Drift(TODAY, "2024-03-01-abcdef01", "orders", 0.05, 0.0, 1.1, False),
            Drift(TODAY, "2024-03-01-abcdef01", "monetary", 0.01, 0.1, 1.1, False),
        ],
        outlook=outlook,
        events=[Event(best, "coupon", 4, 2, 0.5, 0.15, 0.85, 1.4)],
        measures=[
            Measure("transactions", "read", 100, Decimal("1100.00")),
            Measure("transactions", "accepted", 95, Decimal("1000.00")),
            Measure("transactions", "bad_timestamp", 3, Decimal("75.50")),
            Measure("transactions", "duplicate", 2, Decimal("24.50")),
        ],
        months=[
            Month(date(2024, 1, 1), 40, Decimal("480.00"), 3),
            Month(date(2024, 2, 1), 55, Decimal("520.00"), 0),
        ],
        days=[SourceDays("transactions", date(2024, 1, 2), date(2024, 2, 28), (), 0)],
        edges=[
            Edge("recency", 5, "recency_days", None, 3.0, 9),
            Edge("recency", 4, "recency_days", 3.0, None, 9),
        ],
    )


def bare(**changes) -> Records:
    """The least that a store can have: one date, one customer alone, nothing to compare with."""
    one = replace(segment("All", 1, 1, "0.00"), revenue_share=None, pareto_customers=None)
    made = Made(None, None, None, None, None, "deadbeef", None, "0.1.0", None)
    records = Records(
        About(TODAY),
        [replace(one, attributes={})],
        [Cell(1, 1, 1, "All", True, 1, Decimal(0))],
        made,
    )
    return replace(records, **changes)


def hostile() -> Records:
    """The shop with names that are code somewhere; also as attribute, event, setting and action."""
    records = shop(names=tuple(HOSTILE[:3]), clusters=tuple(HOSTILE[3:5]))
    bad = HOSTILE[5]
    shares = {HOSTILE[0]: {HOSTILE[4]: 0.25, bad: 0.75}}
    segments = [
        replace(
            one, action=bad, insight=f"a: {HOSTILE[1]}", attributes=shares if one.attributes else {}
        )
        for one in records.segments
    ]
    return replace(
        records,
        about=replace(records.about, currency="<b>$</b>", rules=bad),
        segments=segments,
        events=[replace(records.events[0], event=HOSTILE[4])],
        measures=[*records.measures, Measure(HOSTILE[0], "read", 1, Decimal(0))],
        made=replace(records.made, settings=[(HOSTILE[1], HOSTILE[4])], engine=bad),
        drift=[replace(records.drift[0], feature=HOSTILE[0])],
    )
