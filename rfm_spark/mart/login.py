"""How the program itself logs into the database that Spark reaches by JDBC."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

from rfm_spark.errors import ConfigurationError

# Parameters of the JDBC driver that libpq has as well, with its names for them.
_SAME = {
    "user": "user",
    "password": "password",
    "sslmode": "sslmode",
    "sslrootcert": "sslrootcert",
    "connecttimeout": "connect_timeout",
    "applicationname": "application_name",
    "options": "options",
    "channelbinding": "channel_binding",
}
_ADDRESS = re.compile(r"^jdbc:postgresql:(?://(?P<hosts>[^/?]*)/?)?(?P<database>[^?]*)")
_HOST = re.compile(r"^(?P<host>\[[^\]]+\]|[^:]*)(?::(?P<port>\d+))?$")


def login(url: str, properties: Mapping[str, object]) -> dict[str, str]:
    """Parameters for libpq from an address and properties for the JDBC driver.

    What only the JDBC driver knows is left out.

    Raises:
        ConfigurationError: The address does not say which database.
    """
    found = _ADDRESS.match(url)
    query = dict(parse_qsl(url.partition("?")[2], keep_blank_values=True))
    given = {**query, **{name: _text(value) for name, value in properties.items()}}
    database = unquote(found["database"]) if found else ""
    hosts = [_HOST.match(part) for part in ((found and found["hosts"]) or "localhost").split(",")]
    if not database or not all(hosts):
        raise ConfigurationError(
            "the mart's address must look like jdbc:postgresql://host:5432/database; see "
            "`url` under `exports`"
        )
    parts = {_SAME.get(name.lower(), ""): value for name, value in given.items()}
    parts.pop("", None)
    if given.get("ssl", "false").lower() in ("true", "") and "sslmode" not in parts:
        parts["sslmode"] = "verify-full"  # what the JDBC driver makes of ssl=true
    named = [host for host in hosts if host]
    return {
        "connect_timeout": "30",
        "application_name": "rfm-spark",
        **parts,
        "host": ",".join(host["host"].strip("[]") for host in named),
        "port": ",".join(host["port"] or "5432" for host in named),
        "dbname": database,
    }


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
