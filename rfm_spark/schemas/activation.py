"""What left the store: who was in which arm, what was sent, and in which batch."""

from __future__ import annotations

from rfm_spark.schemas.fields import Field, Table, count, key

TREATMENT, CONTROL = "treatment", "control"
"""Arms of an export with a hold-out: who is sent, and who never is."""

AUDIENCE_TABLES = ("customer_segments", "customer_features")
"""Tables with one row per snapshot date and customer, from which an audience can be made."""

CAMPAIGN = "campaign"
"""Column of an audience: what `campaigns` says of the customer's segment."""


def export_assignments(id_type: str) -> Table:
    """The arm of every customer whom an export with a hold-out has seen."""
    return Table(
        "export_assignments",
        "one row per export and customer, for ever",
        (
            key("export", "string", "its name in the configuration"),
            key("customer_id", id_type),
            key(
                "arm",
                "string",
                "treatment: sent; control: held out",
                f"IN ('{TREATMENT}', '{CONTROL}')",
            ),
            Field("segment", "string", "rfm_segment on the day of the assignment"),
            key("assigned_on", "date", "snapshot date of the first export that saw the customer"),
        ),
        ("export", "assigned_on"),
    )


def export_changes(id_type: str) -> Table:
    """What exports of changed rows have sent, or are about to send."""
    return Table(
        "export_changes",
        "one row per export, batch and customer whose payload had changed",
        (
            key("export", "string"),
            key("batch", "int", "1, 2, ...; one without a row in export_batches is unfinished"),
            key("customer_id", id_type),
            key("snapshot_date", "date", "whose labels they are"),
            key("updated_at", "timestamp", "start of the export that first sent it"),
            key("payload", "string", "JSON of the attributes; all null: no longer in the audience"),
        ),
        ("export", "batch"),
    )


EXPORT_BATCHES = Table(
    "export_batches",
    "one row per export and batch that has been sent",
    (
        key("export", "string"),
        key("batch", "int"),
        Field("type", "string"),
        Field("snapshot_date", "date"),
        Field("started", "timestamp", "start of the export that first sent it"),
        count("rows", "without a header"),
        Field("files", "map<string,string>", "name below the export's path to SHA-256"),
        Field("settings_hash", "string", "changes with the export's settings and the campaigns"),
        Field("table_versions", "map<string,bigint>", "of the tables that it was made from"),
    ),
)
