"""Build what a cluster is sent: the wheel, and an archive of what it depends on.

The archive is for clusters whose Python lacks the dependencies. It holds them as a folder for
``PYTHONPATH``, without PySpark, which the cluster brings, and for the Python version and platform
that it is built with: build it with the cluster's.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[1]
EXTRAS = "report,postgresql"


def build_wheel(out: Path) -> Path:
    """The package itself; any Python that it supports can import it."""
    with tempfile.TemporaryDirectory() as folder:
        command = ("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, str(PROJECT))
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
        (wheel,) = Path(folder).glob("*.whl")
        return Path(shutil.copy(wheel, out))


def build_archive(wheel: Path, out: Path) -> Path:
    """What wheel, report and mart depend on, in the tested versions: a folder in a tar file."""
    _, version, *_ = wheel.name.split("-")
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    name = f"rfm_spark-{version}-deps-{python}-{sysconfig.get_platform()}"
    with tempfile.TemporaryDirectory() as folder:
        pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
        pinned = ("--constraint", str(PROJECT / "requirements.txt"))
        subprocess.run([*pip, "--target", folder, *pinned, f"{wheel}[{EXTRAS}]"], check=True)
        for own in (*Path(folder).glob("rfm_spark*"), Path(folder) / "bin"):
            shutil.rmtree(own, ignore_errors=True)
        return Path(shutil.make_archive(str(out / name), "gztar", folder))


def main() -> None:
    """Build both and say where they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=PROJECT / "dist", help="folder for both")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    wheel = build_wheel(out)
    for built in (wheel, build_archive(wheel, out)):
        print(f"{built}  {built.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
