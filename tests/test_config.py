"""The configuration: closed, complete in its complaints, the same wherever it is started from."""

from pathlib import Path

import pytest

from rfm_spark.config import load_configuration
from rfm_spark.errors import ConfigurationError
from rfm_spark.jdbc_drivers import without_secrets

PROJECT = Path(__file__).parents[1]
MINIMAL = """
store: ./warehouse
timezone: Africa/Lagos
sources:
  transactions:
    path: ./log
    columns: {customer_id: user, transaction_ts: at, amount: paid}
"""


@pytest.fixture
def load(tmp_path: Path):
    def load(text: str = MINIMAL, *overrides: str, **environment: str):
        file = tmp_path / "rfm.yaml"
        file.write_text(text)
        return load_configuration(file, overrides, environment)

    return load


def refusal(load, *arguments: str, **environment: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(*arguments, **environment)
    return str(caught.value)


def test_defaults_are_the_documented_ones(load) -> None:
    settings = load().settings
    assert (settings.amount_scale, settings.returns, settings.reprocess_days) == (2, "net", 3)
    assert (settings.max_rejected_share, settings.max_lag_days) == (0.1, None)
    assert settings.scoring.bins_by_role == {"recency": 5, "frequency": 5, "monetary": 5}
    assert settings.clustering_features == ["recency_days", "orders", "monetary"]
    assert settings.clustering.k_range == (2, 10)
    assert settings.sources.transactions.log_slack_days == (1, 3)


def test_a_relative_path_starts_at_the_files_folder(load, tmp_path) -> None:
    settings = load().settings
    assert settings.store == str(tmp_path / "warehouse")
    assert settings.sources.transactions.path == str(tmp_path / "log")
    assert settings.models_location == str(tmp_path / "warehouse" / "_models")


def test_a_uri_and_an_absolute_path_stay(load) -> None:
    settings = load(
        MINIMAL, "store=s3://bucket/rfm", "sources.transactions.path=/data/log"
    ).settings
    assert settings.store == "s3://bucket/rfm"
    assert settings.sources.transactions.path == "/data/log"


def test_a_schema_has_exactly_one_dot_and_needs_a_model_dir(load) -> None:
    settings = load(MINIMAL, "store=main.rfm", "model_dir=/Volumes/main/rfm/models").settings
    assert not settings.is_path_store
    assert "model_dir is required" in refusal(load, MINIMAL, "store=main.rfm")
    assert "neither a folder" in refusal(load, MINIMAL, "store=warehouse")


def test_an_unknown_key_names_the_line_and_the_nearest_known_key(load) -> None:
    message = refusal(load, MINIMAL + "scoring:\n  binz: 4\n")
    assert "line 9: scoring.binz: is not a setting; did you mean bins?" in message


def test_all_problems_come_in_one_message(load) -> None:
    text = MINIMAL.replace("Africa/Lagos", "Africa/Lagoss") + (
        "amount_scale: two\nclustering: {k: 1, features: [recency_dayz]}\nretuns: net\n"
    )
    message = refusal(load, text)
    for part in (
        "did you mean Africa/Lagos?",
        "amount_scale: input should be a valid integer",
        "clustering.k:",
        "did you mean recency_days?",
        "did you mean returns?",
    ):
        assert part in message
    assert "5 problems" in message


@pytest.mark.parametrize(
    ("section", "key"),
    [("sources.transactions", "columnz"), ("sources", "balance"), ("features", "window_day")],
)
def test_unknown_keys_are_found_at_every_depth(load, section, key) -> None:
    assert f"{section}.{key}: is not a setting" in refusal(load, MINIMAL, f"{section}.{key}=1")


def test_required_settings_are_named(load) -> None:
    message = refusal(load, "currency: EUR\n")
    for name in ("store", "timezone", "sources"):
        assert f"{name}: is required and not given" in message


def test_a_store_that_keeps_one_date_only_is_refused(load) -> None:
    assert "maintain.keep_snapshots" in refusal(load, MINIMAL, "maintain.keep_snapshots=1")


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("outlook.compare_to=1m", "'1m' is no calendar step such as 7d, 1w, 1mo or 1y, nor 'pre"),
        ("outlook.periods=0", "greater than or equal to 1"),
        ("outlook.discount_rate=-0.1", "greater than or equal to 0"),
        ("exports.clv=1", "input should be a section, got 1"),
        ("exports.clv={type: btyd, path: ./out, unit: months}", "'days' or 'weeks'"),
        ("exports.clv={type: btyd, path: ./out, units: days}", "did you mean unit?"),
        ("exports.clv={path: ./out}", "exports.clv.type: is required and not given"),
        ("exports.bi={type: jdbc, url: 'jdbc:mysql://h/d'}", "the mart is for PostgreSQL"),
        ("exports.bi={type: jdbc, url: 'jdbc:postgresql://h/d', shema: s}", "mean schema?"),
        (
            "exports.clv={type: telex, path: ./out}",
            "exports.clv.type: should not be 'telex'; known: braze, btyd",
        ),
    ],
)
def test_settings_of_outlook_and_exports_are_checked(load, override, told) -> None:
    assert told in refusal(load, MINIMAL, override)


def test_another_password_changes_no_table(load) -> None:
    database = "sources.transactions={format: jdbc, url: 'jdbc:postgresql://db/app?password=%s', "
    database += "query: 'select 1', properties: {user: app, password: '%s'}, columns: "
    database += "{customer_id: user, transaction_ts: at, amount: paid}}"
    one, other = (load(MINIMAL, database % (word, word)) for word in ("old", "new"))
    assert one.config_hash == other.config_hash


def test_what_is_exported_and_where_tables_are_change_no_table(load) -> None:
    plain = load(MINIMAL)
    exporting = load(MINIMAL, "exports.clv={type: btyd, path: ./out}", "store=./elsewhere")
    assert plain.config_hash == exporting.config_hash
    assert plain.config_hash != load(MINIMAL, "outlook.periods=3").config_hash
    assert exporting.settings.exports["clv"].path.endswith("/out")


def test_a_fixed_k_is_fitted_alone_unless_a_range_is_given(load) -> None:
    assert load().settings.clustering.ks == list(range(2, 11))
    assert load(MINIMAL, "clustering.k=4").settings.clustering.ks == [4]
    given = load(MINIMAL, "clustering.k=12", "clustering.k_range=[1, 3]").settings.clustering
    assert given.ks == [2, 3, 12]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("clustering.coreset_size=50", "clustering.coreset_size"),
        ("clustering.algorithm=dbscan", "clustering.algorithm"),
        ("retrain.every_days=0", "retrain.every_days"),
        ("drift.psi=0", "drift.psi"),
    ],
)
def test_bounds_of_clusters_are_held(load, setting, told) -> None:
    assert told in refusal(load, MINIMAL, setting)


def test_a_key_that_stands_twice_is_refused(load) -> None:
    assert "store stands on lines 2 and 8" in refusal(load, MINIMAL + "store: ./other\n")


def test_set_overrides_one_setting_as_yaml(load) -> None:
    settings = load(MINIMAL, "clustering.k=4", "clustering.features=[orders, monetary]").settings
    assert settings.clustering.k == 4
    assert settings.clustering.features == ["orders", "monetary"]
    assert "takes section.key=value" in refusal(load, MINIMAL, "clustering.k")


def test_environment_variables_expand_with_defaults(load) -> None:
    text = MINIMAL.replace("./log", "${LOG}").replace("./warehouse", "${STORE:-./here}")
    settings = load(text, LOG="/data/log").settings
    assert settings.sources.transactions.path == "/data/log"
    assert settings.store.endswith("/here")
    message = refusal(load, text)
    assert "LOG" in message
    assert "which are not set" in message


def test_broken_yaml_names_the_line(load) -> None:
    assert "line 3 is not valid YAML" in refusal(load, "store: a/b\ntimezone: [1\nsources: {}\n")
    assert "must hold `key: value` lines" in refusal(load, "just text")
    assert "must hold `key: value` lines" in refusal(load, "")


def test_a_missing_file_is_said(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match=r"no\.yaml cannot be read"):
        load_configuration(tmp_path / "no.yaml")


def test_aum_comes_from_one_place_and_must_come_from_somewhere(load) -> None:
    both = MINIMAL + (
        "  balances: {path: b, columns: {customer_id: u, balance_date: d, balance: b}}\n"
        "  customers: {path: c, columns: {customer_id: u, aum: a}}\n"
    )
    assert "AUM comes either from" in refusal(load, both)
    assert "aum_per_day is used" in refusal(load, MINIMAL, "scoring.roles.aum=aum_per_day")


def test_aum_per_day_is_clustered_where_there_is_aum(load) -> None:
    text = MINIMAL + "  customers: {path: ./c, columns: {customer_id: u, aum: a}}\n"
    assert load(text).settings.clustering_features[-1] == "aum_per_day"


def test_bins_must_be_those_of_the_rule_map(load) -> None:
    assert "made for (5, 5, 5) bins" in refusal(load, MINIMAL, "scoring.bins=4")


def test_a_format_needs_its_own_place(load) -> None:
    assert "needs the key `table`" in refusal(
        load, MINIMAL, "sources.transactions.format=table", "sources.transactions.path=null"
    )
    assert "takes `path`, not `table`" in refusal(load, MINIMAL, "sources.transactions.table=a.b")


def test_the_hash_changes_with_any_setting(load) -> None:
    assert load().config_hash == load().config_hash
    assert load().config_hash != load(MINIMAL, "currency=EUR").config_hash


@pytest.mark.parametrize("file", sorted((PROJECT / "conf").glob("*.yaml")), ids=lambda p: p.name)
def test_shipped_configurations_are_accepted(file: Path) -> None:
    environment = {
        **{f"{base}_{key}": "x" for base in ("MYSQL", "POSTGRES") for key in ("USER", "PASSWORD")},
        "MYSQL_URL": "jdbc:mysql://db:3306/app",
        "POSTGRES_URL": "jdbc:postgresql://db:5432/app",
    }
    assert load_configuration(file, environment=environment).settings.store


def test_the_readmes_ten_lines_are_a_configuration(load) -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    text = readme.split("```yaml\n")[1].split("```")[0]
    assert load(text).settings.sources.transactions.columns.amount == "price * quantity"


def test_the_reference_names_every_setting_and_its_default(load) -> None:
    import yaml

    reference = yaml.safe_load((PROJECT / "conf" / "reference.yaml").read_text())
    defaults = load().settings.model_dump(mode="json")
    for section in ("features", "scoring", "clustering", "retrain", "drift"):
        assert set(reference[section]) == set(defaults[section])
        given = load(MINIMAL + yaml.safe_dump({section: reference[section]})).settings
        assert given.model_dump(mode="json")[section] == defaults[section]
    assert set(reference) == set(defaults)
    for source in ("transactions", "balances", "customers"):
        known = load(yaml.safe_dump(reference)).settings.sources.model_dump()[source]
        assert set(reference["sources"][source]) <= set(known)


@pytest.mark.parametrize(
    "url", ["mysql://app:s3cret@db/app", "jdbc:mysql://app:s3cret@db:3306/app?password=s3cret"]
)
def test_secrets_of_a_database_are_not_told(load, url) -> None:
    source = f"""
        format: jdbc
        url: {url}
        query: 3
        properties: "user=a;password=s3cret"
        columns: {{customer_id: a, transaction_ts: b, amount: c}}
    """
    with pytest.raises(ConfigurationError) as caught:
        load(f"store: ./w\ntimezone: UTC\nsources:\n  transactions:\n{source}")
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in without_secrets(url)
