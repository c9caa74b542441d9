"""JDBC drivers by address: their class, and where Maven Central has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Driver:
    """A driver: the class that Spark loads, and the JAR's Maven coordinate."""

    driver_class: str
    coordinate: str

    @property
    def artifact(self) -> str:
        """Name of the JAR without its version."""
        return self.coordinate.split(":")[1]


_ADDRESS = re.compile(r"jdbc:[^\s'\"`]+")
_LONG = 6
_SECRET = re.compile(r"(?i)user|pass|pwd|secret|token|key|credential")
_MARIADB = Driver("org.mariadb.jdbc.Driver", "org.mariadb.jdbc:mariadb-java-client:3.5.6")
_DRIVERS = {
    "jdbc:mysql:": Driver("com.mysql.cj.jdbc.Driver", "com.mysql:mysql-connector-j:9.4.0"),
    "jdbc:mariadb:": _MARIADB,
    "jdbc:postgresql:": Driver("org.postgresql.Driver", "org.postgresql:postgresql:42.7.8"),
}


def driver_of(url: str) -> Driver | None:
    """The driver for a JDBC address; None for databases whose driver the caller brings."""
    return next((driver for start, driver in _DRIVERS.items() if url.startswith(start)), None)


def without_secrets(url: str) -> str:
    """A JDBC address for people: no parameters, no user, no password."""
    bare = re.sub(r"([?;(,]|[:/]\w+=).*", "", url)
    login, at, place = bare.rpartition("@")
    if not at:
        return bare
    kind = "".join(re.findall(r"^jdbc:(?:\w+:)*", login))
    return f"{kind}{'//' if '://' in url and not place.startswith('//') else ''}{place}"


def secrets_of(url: str, properties: Mapping[str, object]) -> set[str]:
    """Users, passwords and tokens of an address, of its parameters and of properties."""
    parameters = re.findall(r"[?;&(,:/]([^?;&=(),:/]*)=([^?;&(),]+)", url)
    named = [*parameters, *((name, str(value)) for name, value in properties.items())]
    login = re.search(r"(?://|thin:|oci:)(.*)@", re.sub(r"[?;].*", "", url))
    return {
        *(value for name, value in named if _SECRET.search(name)),
        *(re.split(r"[:/]", login[1], maxsplit=1) if login else ()),
    } - {""}


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without JDBC parameters and logins, and without these secrets."""
    bare = _ADDRESS.sub(lambda found: without_secrets(found[0]), text)
    for word in sorted(secrets, key=len, reverse=True):
        is_short = len(word) < _LONG  # may be a part of any word
        start, end = (r"(?<![\w/])", r"(?![\w/])") if is_short else ("", "")
        bare = re.sub(f"{start}{re.escape(word)}{end}", "***", bare)
    return bare


def address_for_spark(url: str) -> str:
    """The address under which Spark quotes names as the database does.

    Spark knows the dialect of ``jdbc:mysql:`` only; to ``jdbc:mariadb:`` it would send names in
    double quotes, which MariaDB reads as text. MariaDB's driver takes both.
    """
    if not url.startswith("jdbc:mariadb:"):
        return url
    joined = "&" if "?" in url else "?"
    return f"jdbc:mysql:{url.removeprefix('jdbc:mariadb:')}{joined}permitMysqlScheme"
