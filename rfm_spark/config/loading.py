"""From a YAML file to checked settings, with every problem in one message."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rfm_spark.config.explaining import explain
from rfm_spark.config.naming import digest
from rfm_spark.config.rule_maps import load_rule_map
from rfm_spark.config.segment_names import check_segment_names
from rfm_spark.config.settings import RfmSettings
from rfm_spark.config.yaml_file import Node, parse_yaml
from rfm_spark.errors import ConfigurationError
from rfm_spark.jdbc_drivers import redacted, without_secrets
from rfm_spark.rules import RuleMap
from rfm_spark.schemas import AUM_FEATURES

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class Configuration:
    """Checked settings and the rule map they name."""

    settings: RfmSettings
    rule_map: RuleMap

    @property
    def config_hash(self) -> str:
        """Eight hex digits that change with the rule map and any setting that tables depend on.

        Where the store is, what is exported and how a database is logged into are none of these;
        secrets are not hashed.
        """
        settings = self.settings.model_dump(
            mode="json", exclude={"campaigns", "exports", "maintain", "store", "model_dir"}
        )
        for source in settings["sources"].values():
            if source is not None:
                source.pop("properties", None)
                source["url"] = source.get("url") and without_secrets(source["url"])
        return digest([settings, self.rule_map.digest])

    def export_hash(self, name: str) -> str:
        """Eight hex digits that change with whatever changes what an export writes, and where."""
        settings = self.settings
        return digest([settings.exports[name].model_dump(mode="json"), settings.campaigns])

    def redacted(self, text: str) -> str:
        """A text for people and logs, without how databases are logged into."""
        return redacted(text, self.settings.secrets)


def load_configuration(
    file: str | Path,
    overrides: Iterable[str] = (),
    environment: Mapping[str, str] = os.environ,
) -> Configuration:
    """Read, expand, override and check a configuration file.

    Args:
        file: The YAML file. Relative paths inside it start at its folder.
        overrides: ``section.key=value`` texts; the value is YAML.
        environment: Where ``${NAME}`` and ``${NAME:-default}`` look.

    Raises:
        ConfigurationError: The file cannot be read, or is refused; all problems at once.
    """
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the configuration file {path} cannot be read: {error}; give one with --config"
        ) from None
    root = parse_yaml(text, str(path))
    values = root.value
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path} must hold `key: value` lines, and starts with `store:`")
    values = _expand(values, environment, path)
    for override in overrides:
        _override(values, override)
    settings = _check(values, root, path)
    rule_map = _rule_map(settings, path.parent)
    check_segment_names(settings, rule_map)
    return Configuration(settings, rule_map)


def _check(values: dict[str, Any], root: Node, path: Path) -> RfmSettings:
    sources = values.get("sources")
    extra = _extra_features(sources)
    further = [*extra, *_attributes(sources)]
    context = {"folder": path.parent, "extra_features": extra, "further_columns": further}
    try:
        return RfmSettings.model_validate(values, context=context)
    except ValidationError as error:
        raise ConfigurationError(explain(error, values, root, path)) from None


def _extra_features(sources: Any) -> list[str]:
    """Names that roles and clustering may use beside the fixed ones, before anything is checked."""
    named = sources.values() if isinstance(sources, dict) else ()
    features = (source.get("features") for source in named if isinstance(source, dict))
    return [str(name) for names in features if isinstance(names, dict) for name in names]


def _attributes(sources: Any) -> list[str]:
    """Names of customers' attributes, before anything is checked."""
    customers = sources.get("customers") if isinstance(sources, dict) else None
    attributes = customers.get("attributes") if isinstance(customers, dict) else None
    return [str(name) for name in attributes] if isinstance(attributes, dict) else []


def _rule_map(settings: RfmSettings, folder: Path) -> RuleMap:
    bins = settings.scoring.bins_by_role
    rule_map = load_rule_map(
        settings.scoring.rules,
        folder,
        features=settings.feature_columns,
        bins=[bins["recency"], bins["frequency"], bins["monetary"]],
    )
    aum = [name for name in rule_map.features if name in AUM_FEATURES]
    if aum and not settings.has_aum:
        raise ConfigurationError(
            f"the rule map {rule_map.name} looks at {', '.join(aum)}, but neither sources.balances "
            "nor sources.customers.columns.aum says what a customer holds"
        )
    return rule_map


def _expand(value: Any, environment: Mapping[str, str], path: Path) -> Any:
    missing: set[str] = set()

    def replaced(match: re.Match[str]) -> str:
        name, default = match.groups()
        found = environment.get(name)
        if found or (found is not None and default is None):
            return found
        if default is None:
            missing.add(name)
            return ""
        return str(default)

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: walk(item) for key, item in node.items()}
        if isinstance(node, list):
            return [walk(item) for item in node]
        return _VARIABLE.sub(replaced, node) if isinstance(node, str) else node

    expanded = walk(value)
    if missing:
        raise ConfigurationError(
            f"{path} uses the environment variables {', '.join(sorted(missing))}, which are not "
            "set; export them, or give a default as ${NAME:-default}"
        )
    return expanded


def _override(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise ConfigurationError(f"--set takes section.key=value, and got {name!r}")
    section = values
    for key in keys[:-1]:
        inner = section.get(key)
        if inner is not None and not isinstance(inner, dict):
            raise ConfigurationError(f"--set {name}: {key} is a value, not a section")
        section[key] = section = dict(inner or {})
    section[keys[-1]] = parse_yaml(text, f"--set {name}").value
