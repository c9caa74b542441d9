"""The packages that only the report needs."""

from __future__ import annotations

from importlib.util import find_spec

from rfm_spark.errors import ConfigurationError

_PACKAGES = ("jinja2", "plotly")


def check_packages() -> None:
    """See that the report can be made.

    Raises:
        ConfigurationError: A package is missing; the extra that brings it is named.
    """
    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if missing:
        raise ConfigurationError(
            f"the report needs the Python package{'s'[: len(missing) - 1]} {', '.join(missing)}, "
            'which this environment lacks: pip install "rfm-spark[report]"'
        )
