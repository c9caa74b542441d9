"""Assets under management: balances carried forward per account, added up per customer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from rfm_spark.schemas import BALANCE_COLUMNS

_ACCOUNT = ("customer_id", "account_id")


@dataclass(frozen=True)
class BalanceRules:
    """How stated rows become balances.

    Args:
        kind: ``snapshot``, a balance that holds until the account's next row; ``flow``, signed
            movements that add up from 0.
        stale_after_days: An account not stated for longer counts 0; None never.
        scale: Decimals of money.
    """

    kind: str
    stale_after_days: int | None
    scale: int


def roll(
    accounts: DataFrame | None,
    stated: DataFrame,
    rules: BalanceRules,
    *,
    first_day: date | None,
    end: date,
) -> DataFrame:
    """Carry what accounts hold from one day to a later one.

    A balance holds at the end of its day and until the account's next row, or until it is stale.

    Args:
        accounts: customer_id and ``accounts``, in force before ``first_day``; None where nobody
            held anything.
        stated: Rows of ``balance_daily`` from ``first_day`` until before ``end``.
        rules: How rows become balances.
        first_day: First day whose end-of-day balance is added up; None for all history.
        end: The day after the last day that is added up.

    Returns:
        One row per customer: customer_id, stated_rows, first_stated, accounts (in force at the
        end of the day before ``end``), held (the end-of-day balances of all days, added up).
    """
    money = F.col(BALANCE_COLUMNS[rules.kind]).alias("amount")
    rows = stated.select(*_ACCOUNT, "balance_date", money, F.lit(1).alias("is_stated"))
    if accounts is not None:
        rows = rows.unionByName(_exploded(accounts))
    steps = _steps(rows, rules)
    start = F.col("balance_date")
    if first_day is not None:
        start = F.greatest(start, F.lit(first_day))
    days = F.greatest(F.datediff(F.least(F.col("until"), F.lit(end)), start), F.lit(0))
    account = F.struct("account_id", "balance_date", "balance")
    is_stated = F.col("is_stated") == 1
    return steps.groupBy("customer_id").agg(
        F.sum("is_stated").cast("bigint").alias("stated_rows"),
        F.min(F.when(is_stated, F.col("balance_date"))).alias("first_stated"),
        F.sort_array(F.collect_list(F.when(F.col("is_last"), account))).alias("accounts"),
        _exact_sum(F.col("balance") * days, rules.scale).alias("held"),
    )


def held_at(state: DataFrame, rules: BalanceRules, *, snapshot_date: date) -> DataFrame:
    """What each customer holds at a snapshot date, and held in the window before it.

    Args:
        state: Columns of ``state.balance_history``.
        rules: How rows become balances.
        snapshot_date: The day after the last day counted.

    Returns:
        One row per customer with a balance: customer_id, aum (the balances at the end of the day
        before the snapshot date, added up), first_balance_date, balance_days.
    """
    aum = _held_now(F.col("accounts"), rules, snapshot_date).alias("aum")
    columns = ("first_balance_date", "balance_days")
    return state.where(F.col("balance_rows") > 0).select("customer_id", aum, *columns)


def late_starters(
    balances: DataFrame, customers: DataFrame, *, snapshot_date: date, first_day: date | None
) -> DataFrame:
    """Customers whose given start is later than their first balance: customer_id, start_date.

    Args:
        balances: From :func:`held_at`.
        customers: customer_id and start_date of the customers source.
        snapshot_date: The day after the last day counted.
        first_day: First day of the window; None for all history.
    """
    start, first = F.col("start_date"), F.col("first_balance_date")
    if first_day is not None:
        first = F.greatest(first, F.lit(first_day))
    given = customers.select("customer_id", "start_date")
    joined = balances.join(given, on="customer_id", how="inner")
    late = joined.where((start > first) & (start < F.lit(snapshot_date)))
    return late.select("customer_id", "start_date")


def from_the_start_on(
    balances: DataFrame,
    late: DataFrame,
    stated: DataFrame,
    rules: BalanceRules,
    *,
    first_day: date | None,
) -> DataFrame:
    """Take out of ``balance_days`` what was held before a given start.

    Args:
        balances: From :func:`held_at`.
        late: From :func:`late_starters`.
        stated: ``balance_daily``.
        rules: How rows become balances.
        first_day: First day of the window; None for all history.
    """
    money = F.col(BALANCE_COLUMNS[rules.kind]).alias("amount")
    rows = stated.join(late, on="customer_id", how="left_semi")
    steps = _steps(rows.select(*_ACCOUNT, "balance_date", money), rules)
    begin = F.col("balance_date")
    if first_day is not None:
        begin = F.greatest(begin, F.lit(first_day))
    days = F.greatest(F.datediff(F.least("until", "start_date"), begin), F.lit(0))
    cut = _exact_sum(F.col("balance") * days, rules.scale).alias("cut")
    held_before = steps.join(late, on="customer_id", how="inner").groupBy("customer_id").agg(cut)
    left = F.col("balance_days") - F.coalesce("cut", F.lit(0))
    joined = balances.join(held_before, on="customer_id", how="left")
    return joined.withColumn("balance_days", left).drop("cut")


def _held_now(accounts: Column, rules: BalanceRules, snapshot_date: date) -> Column:
    exact = f"decimal(38,{rules.scale})"

    def add(total: Column, account: Column) -> Column:
        held = account["balance"].cast(exact)
        if rules.stale_after_days is not None:
            stale_from = F.date_add(account["balance_date"], rules.stale_after_days + 1)
            held = F.when(stale_from >= F.lit(snapshot_date), held).otherwise(F.lit(0).cast(exact))
        return (total + held).cast(exact)

    return F.aggregate(accounts, F.lit(0).cast(exact), add)


def _exploded(accounts: DataFrame) -> DataFrame:
    rows = accounts.select("customer_id", F.explode("accounts").alias("account"))
    return rows.select(
        "customer_id",
        "account.account_id",
        "account.balance_date",
        F.col("account.balance").alias("amount"),
        F.lit(0).alias("is_stated"),
    )


def _steps(rows: DataFrame, rules: BalanceRules) -> DataFrame:
    """Each row's balance and the day until before which it holds; a far day for the last one.

    Rows are brought together by customer, so that neither the window nor the sum over a
    customer's accounts shuffles again.
    """
    by_account = Window.partitionBy(*_ACCOUNT).orderBy("balance_date")
    next_day = F.lead("balance_date").over(by_account)
    balance = F.col("amount")
    if rules.kind == "flow":
        so_far = by_account.rowsBetween(Window.unboundedPreceding, Window.currentRow)
        balance = F.sum("amount").over(so_far)
    until = F.coalesce(next_day, F.lit("9999-12-31").cast("date"))
    if rules.stale_after_days is not None:
        until = F.least(until, F.date_add("balance_date", rules.stale_after_days + 1))
    return rows.repartition("customer_id").select(
        *rows.columns,
        balance.cast(f"decimal(28,{rules.scale})").alias("balance"),
        next_day.isNull().alias("is_last"),
        until.alias("until"),
    )


def _exact_sum(amounts: Column, scale: int) -> Column:
    return F.sum(amounts.cast(f"decimal(38,{scale})")).cast(f"decimal(38,{scale})")
