#!/usr/bin/env bash
# Make the virtual environment with pinned dependencies, and see that Java is there.
set -euo pipefail
venv=${VENV:-.venv}

usable_python() {
  local candidate
  for candidate in "${PYTHON_FOR_VENV:-}" python3 python3.13 python3.12 python3.11 python3.10; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "rfm_spark needs Python 3.10 to 3.13 and found none on the PATH" >&2
  return 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

if ! { [ -n "${JAVA_HOME:-}" ] && [ -x "$JAVA_HOME/bin/java" ]; } && ! command -v java >/dev/null; then
  echo "Java is missing; trying the system's package manager"
  if command -v apt-get >/dev/null; then
    { as_root apt-get update -qq && { as_root apt-get install -y -qq openjdk-17-jre-headless || as_root apt-get install -y -qq openjdk-21-jre-headless; }; } >/dev/null || true
  elif command -v dnf >/dev/null; then
    as_root dnf install -y -q java-17-openjdk-headless >/dev/null || true
  elif command -v brew >/dev/null; then
    brew install --quiet openjdk@17 >/dev/null || true
  fi
  if ! command -v java >/dev/null; then
    echo "Install Java 17 or 21, for example: sudo apt-get install openjdk-17-jre-headless" >&2
    exit 1
  fi
fi

if [ ! -x "$venv/bin/python" ]; then
  python=$(usable_python)
  echo "making the virtual environment $venv with $("$python" --version)"
  "$python" -m venv "$venv" || {
    echo "the module venv is missing; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2
    exit 1
  }
fi
echo "installing the pinned dependencies (PySpark is large: a minute or two the first time)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.txt
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -e .
