#!/usr/bin/env bash
# Makes `.venv` with the pinned tools and the wheel of this tree in it. Everything stays inside the
# tree.
set -euo pipefail
cd "$(dirname "$0")/.."

python=""
for candidate in python3 python3.13 python3.12 python3.11; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "Python 3.11 or newer is missing: install it, then run this again" >&2
  exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update && apt-get install -y python3-venv
  else
    echo "Python's venv module is missing: install python3-venv" >&2
    exit 1
  fi
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
pins=python/requirements-test.txt
if ! cmp -s "$pins" .venv/installed.txt; then
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$pins"
  cp "$pins" .venv/installed.txt
fi

# One folder of wheels that holds one wheel: this tree's.
rm -rf target/wheels
.venv/bin/maturin build --quiet --locked --profile ci --interpreter .venv/bin/python \
  --out target/wheels
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps \
  --force-reinstall target/wheels/*.whl
