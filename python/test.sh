#!/usr/bin/env bash
# Everything about the Python module: lint, types, tests against the installed wheel, the wheel on
# every CPython there is, the sdist on its own, and the free-threaded build where there is an
# interpreter for it. Prints what it tested.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --quiet --locked --profile ci -p hoopauth-emulator
cargo build --quiet --locked --profile ci -p hoopauth-capi --lib
python/setup.sh

.venv/bin/ruff format --check --quiet python examples/python benches/python
.venv/bin/ruff check --quiet python examples/python benches/python
.venv/bin/mypy --strict --no-error-summary examples/python/*.py benches/python/*.py

root=$PWD
emulator=${HOOPAUTH_EMULATOR:-$root/target/ci/hoopauth-emulator}
export HOOPAUTH_EMULATOR=$emulator
# From a folder where no source can take the place of what is installed.
mkdir -p target/python-tests
(cd target/python-tests && "$root/.venv/bin/python" -m pytest --quiet -c "$root/pyproject.toml" \
  --rootdir "$root/python/tests" "$root/python/tests" "$@")

# smoke NAME INTERPRETER WHEEL: the whole story, on an environment of its own that holds nothing but
# the wheel.
smoke() {
  local place=$root/target/python-smoke/$1
  rm -rf "$place"
  "$2" -m venv --without-pip "$place"
  .venv/bin/python -m pip --quiet --disable-pip-version-check --python "$place/bin/python" \
    install --no-index "$3"
  (
    cd "$place" &&
      ./bin/python -I -W error "$root/examples/python/demo.py" > demo.txt 2> errors.txt &&
      [ ! -s errors.txt ]
  ) || { cat "$place/demo.txt" "$place/errors.txt"; exit 1; }
  echo "python: $1 plays the demonstration"
}

# The CPythons of this machine, each once: `version path`.
found() {
  local candidate
  local named
  named=$(compgen -c python3 | grep -E '^python3(\.[0-9]+t?)?$' | sort -u)
  for candidate in $named "$HOME"/.pyenv/versions/*/bin/python3; do
    "$candidate" - 2>/dev/null <<'EOF' || true
import os, sys, sysconfig
if sys.implementation.name == "cpython" and sys.version_info >= (3, 10):
    free = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    base = getattr(sys, "_base_executable", sys.executable)
    print("%d.%d.%d%s" % (*sys.version_info[:3], free), os.path.realpath(base))
EOF
  done | sort -u
}

wheel=$(ls target/wheels/*.whl)
free=""
while read -r version interpreter; do
  case $version in
    *t) free="$free $version=$interpreter" ;;
    *) smoke "$version" "$interpreter" "$wheel" ;;
  esac
done < <(found | sort -u -k1,1)

# The source distribution builds without this tree around it. Not --locked: it has fewer members
# than Cargo.lock names.
rm -rf target/sdist
.venv/bin/maturin sdist --out target/sdist &> target/sdist.log || { cat target/sdist.log; exit 1; }
alone=$(mktemp -d)
trap 'rm -rf "$alone"' EXIT
tar -xzf target/sdist/*.tar.gz -C "$alone"
# Newer than what the shared folder was built of, so that it is this that is built.
find "$alone" -name '*.rs' -exec touch {} +
PATH=$root/.venv/bin:$PATH CARGO_TARGET_DIR=$root/target MATURIN_PEP517_ARGS="--profile ci" \
  .venv/bin/python -m pip wheel --quiet --disable-pip-version-check --no-build-isolation \
  --no-deps --no-index --wheel-dir "$alone/wheels" "$alone"/hoopauth-*/
# It was made among those of this tree, under another tag: there, pip would have two to choose from.
find target/wheels -type f ! -path "$wheel" -delete
smoke sdist .venv/bin/python "$alone"/wheels/*.whl

# Its wheel is one of its own: the stable ABI has no free threads before 3.15.
if [ -z "$free" ]; then
  echo "python: no free-threaded interpreter here: that build is not tested"
fi
for pair in $free; do
  rm -rf "target/wheels-free"
  .venv/bin/maturin build --quiet --locked --profile ci --interpreter "${pair#*=}" \
    --out target/wheels-free
  smoke "${pair%%=*}" "${pair#*=}" target/wheels-free/*.whl
done
