"""A real MariaDB and a real PostgreSQL for a test: own folder, loopback, a free port."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from peers.cluster import free_port

PASSWORD = "not-a-secret"
DATABASE = "shop"


@dataclass(frozen=True)
class Database:
    """A running server: its JDBC address, and a client that takes SQL."""

    url: str
    user: str
    client: tuple[str, ...]
    environment: dict[str, str]

    def run(self, sql: str) -> None:
        subprocess.run(
            self.client,
            input=sql,
            text=True,
            check=True,
            capture_output=True,
            env={**os.environ, **self.environment},
        )


def program(name: str) -> str | None:
    """A server's program; Debian keeps PostgreSQL's off the path."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return (
        shutil.which(name) or shutil.which(name, path="/usr/sbin") or next(map(str, places), None)
    )


@contextmanager
def mariadb() -> Iterator[Database]:
    with _folder() as folder, _log(folder) as log:
        data, port, socket_ = folder / "data", free_port(), folder / "s"
        user = f"--user={getpass.getuser()}"
        place = [f"--datadir={data}", user, "--no-defaults"]
        install = [program("mariadb-install-db"), "--no-defaults", *place[:2]]
        subprocess.run(
            [*install, "--auth-root-authentication-method=normal"],
            check=True,
            stdout=log,
            stderr=log,
        )
        listen = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={socket_}"]
        command = [program("mariadbd"), place[2], *place[:2], *listen, "--default-time-zone=+00:00"]
        root = ("mariadb", "--no-defaults", f"--socket={socket_}", "-uroot")
        with _running(command, log, (*root, "-e", "SELECT 1")):
            admin = Database("", "root", root, {})
            admin.run(
                f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4;"
                f"CREATE USER rfm@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';"
                f"GRANT SELECT ON {DATABASE}.* TO rfm@'127.0.0.1';"
            )
            client = (*root, "--default-character-set=utf8mb4", DATABASE)
            yield Database(f"jdbc:mysql://127.0.0.1:{port}/{DATABASE}", "rfm", client, {})


@contextmanager
def postgresql() -> Iterator[Database]:
    with _folder() as folder, _log(folder) as log:
        data, port = folder / "data", free_port()
        as_user: list[str] = []
        if os.getuid() == 0:  # the server refuses to run as root
            as_user = ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres")
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        init = [program("initdb"), "-D", str(data), "-U", "rfm", "-A", "scram-sha-256"]
        subprocess.run(
            [*as_user, *init, f"--pwfile={password}", "-E", "UTF8", "--locale=C.UTF-8"],
            check=True,
            stdout=log,
            stderr=log,
            cwd="/",
        )
        listen = ["-p", str(port), "-h", "127.0.0.1", "-k", str(folder)]
        command = [*as_user, program("postgres"), "-D", str(data), *listen]
        base = ("psql", "-h", "127.0.0.1", "-p", str(port), "-U", "rfm", "-v", "ON_ERROR_STOP=1")
        environment = {"PGPASSWORD": PASSWORD}
        with _running(command, log, (*base, "-d", "postgres", "-c", "SELECT 1"), environment):
            Database("", "rfm", (*base, "-d", "postgres"), environment).run(
                f"CREATE DATABASE {DATABASE};"
            )
            url = f"jdbc:postgresql://127.0.0.1:{port}/{DATABASE}"
            yield Database(url, "rfm", (*base, "-d", DATABASE), environment)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rfm-db-"))  # a short path: sockets allow 107 bytes
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _log(folder: Path) -> Iterator:
    with (folder / "log").open("w") as log:
        yield log


@contextmanager
def _running(command, log, probe, environment=None) -> Iterator[None]:
    server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
    try:
        for _ in range(120):
            done = subprocess.run(
                probe, capture_output=True, check=False, env={**os.environ, **(environment or {})}
            )
            if done.returncode == 0:
                break
            if server.poll() is not None:
                raise RuntimeError(f"{command[0]} ended: {Path(log.name).read_text()[-2000:]}")
            time.sleep(0.5)
        else:
            raise RuntimeError(
                f"{command[0]} does not answer: {Path(log.name).read_text()[-2000:]}"
            )
        yield
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(30)
        server.kill()
