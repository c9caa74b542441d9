"""The customers source, read and checked: what is wrong in it is refused, not guessed."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.errors import ConfigurationError, DataError
from rfm_spark.ingest import values
from rfm_spark.ingest.cleaning import customer_id_type
from rfm_spark.ingest.mapping import expression_types
from rfm_spark.ingest.reading import MALFORMED
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.sources import fingerprint_column, naming_the_expression, open_source

FINGERPRINT = "sources.customers"
"""Under this name the ledger keeps what tells one content of the source from another."""
_FLAGS = ("_malformed", "_nameless", "_unreadable")


def read_customers(context: Context, id_type: str) -> DataFrame | None:
    """The customers source as customer_id, start_date, aum and attributes; None without one.

    A fingerprint of its content goes into the ledger, as it has no version.

    Raises:
        ConfigurationError: The mapping does not fit the source.
        DataError: An id stands twice or is missing, its type is not that of the transactions, or
            a date or an amount cannot be read.
    """
    settings = context.settings.sources.customers
    if settings is None:
        return None
    source = open_source(context, "customers", settings)
    expressions = settings.columns.model_dump(exclude_none=True)
    types = expression_types(source, "customers", expressions)
    attributes = settings.attributes
    expression_types(source, "customers", attributes, "attributes")
    found = customer_id_type(types["customer_id"])
    if found != id_type:
        raise DataError(
            f"customer_id must have one type everywhere: sources.customers has "
            f"{types['customer_id']}, the transactions have {id_type}; cast it in the mapping"
        )
    if types.get("start_date", "date") not in values.INSTANT_TYPES:
        raise ConfigurationError(
            f"sources.customers.columns: start_date is {types['start_date']} and must be date, "
            "timestamp or text"
        )
    if not values.is_amount_type(types.get("aum", "int")):
        raise ConfigurationError(
            f"sources.customers.columns: aum is {types['aum']} and must be a number or text"
        )

    def column(name: str) -> tuple[Column, str]:
        return F.expr(expressions[name]), types[name]

    start, aum = F.lit(None).cast("date"), F.lit(None)
    unreadable = F.lit(False)
    if "start_date" in expressions:
        start = values.as_day(*column("start_date"), settings.timestamp_format)
        unreadable = unreadable | (~values.is_blank(*column("start_date")) & start.isNull())
    if "aum" in expressions:
        digits, scale = schemas.MONEY_DIGITS, context.settings.amount_scale
        aum = values.as_money(*column("aum"), digits, scale)
        unreadable = unreadable | (~values.is_blank(*column("aum")) & aum.isNull())
    customer_id = F.expr(expressions["customer_id"]).cast(id_type)
    customers = source.select(
        customer_id.alias("customer_id"),
        start.alias("start_date"),
        aum.cast(schemas.money(context.settings.amount_scale)).alias("aum"),
        values.is_blank(*column("customer_id")).alias("_nameless"),
        unreadable.alias("_unreadable"),
        F.col(MALFORMED).isNotNull().alias("_malformed"),
        *(F.expr(sql).cast("string").alias(name) for name, sql in attributes.items()),
    )
    named = {f"columns.{name}": sql for name, sql in expressions.items()}
    named |= {f"attributes.{name}": sql for name, sql in attributes.items()}
    with naming_the_expression("customers", source, named):
        content = _refuse(customers)
    context.run.input_versions[FINGERPRINT] = content
    return customers.drop(*_FLAGS)


def _refuse(customers: DataFrame) -> int:
    """Refuse what contradicts itself; the fingerprint of what does not."""
    fine = ~F.col("_malformed")
    mapped = [f"`{name}`" for name in customers.columns if name not in _FLAGS]
    counts = customers.agg(
        fingerprint_column(mapped).alias("_fingerprint"),
        *(
            F.sum((F.col(flag) & (fine | F.lit(flag == "_malformed"))).cast("bigint")).alias(flag)
            for flag in _FLAGS
        ),
        *(F.count(name).alias(f"with_{name}") for name in customers.columns if name not in _FLAGS),
    ).collect()[0]
    repeated = customers.where(fine).groupBy("customer_id").count().where(F.col("count") > 1)
    doubled = repeated.count()
    found = []
    if counts["_malformed"]:
        found.append(f"{counts['_malformed']:,} rows do not parse")
    if counts["_nameless"]:
        found.append(f"{counts['_nameless']:,} rows have no customer_id")
    if counts["_unreadable"]:
        found.append(f"{counts['_unreadable']:,} rows have a start_date or aum that cannot be read")
    if doubled:
        found.append(f"{doubled:,} customer ids stand in more than one row")
    if found:
        raise DataError(
            f"sources.customers: {'; '.join(found)}; correct them, or leave them out with `where`"
        )
    return int(counts["_fingerprint"] or 0)
