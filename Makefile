# The commands a person runs. Each sets up what it needs, inside the tree.
CARGO ?= cargo
PROFILE = --profile ci

.PHONY: demo test test-python lint bench bench-all bench-built soak fuzz generate install uninstall setup setup-c setup-postgres setup-python libraries python-setup

demo: setup libraries setup-python ## the main job, end to end, against a local HoopAI, in every language
	$(DEMO_BUILD) --example demo --bin hoopauth-emulator
	@echo "In Rust:" && target/ci/examples/demo
	@echo && echo "Building the libraries of the other languages..."
	$(DEMO_BUILD) --lib --example demo --bin hoopauth-emulator
	@examples/demo.sh

# Both steps choose the same packages and kinds of targets, so that each dependency is compiled once.
DEMO_BUILD = PYO3_BUILD_EXTENSION_MODULE=1 $(CARGO) build --quiet --locked $(PROFILE) --workspace \
  --exclude hoopauth-bench --exclude hoopauth-capi-fault-injection --exclude xtask

test: setup setup-c setup-postgres libraries lint ## all tests
	$(CARGO) build --locked $(PROFILE) --workspace --exclude hoopauth-bench --lib --tests --examples # cargo test makes no C libraries
	$(CARGO) test --locked $(PROFILE) --workspace --exclude hoopauth-bench
	$(CARGO) test --locked $(PROFILE) -p hoopauth --no-default-features --lib
	$(CARGO) test --locked $(PROFILE) -p hoopauth --features shuttle --lib flight::
	python/test.sh
	fuzz/run.sh -runs=$(or $(RUNS),20000)

test-python: setup ## the Python module alone
	python/test.sh

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked $(PROFILE) --workspace --all-targets -- -D warnings
	$(CARGO) run --quiet --locked $(PROFILE) -p xtask generate --check
	python3 -m doctest tools/prose.py && tools/prose.py # lines and openings of comments

bench: bench-built ## the figures that people quote, as JSON lines
	$(REMAPPED) $(CARGO) run --quiet --locked --release -p hoopauth-bench

bench-all: bench-built ## all promised figures: large sizes and simulated months too
	$(REMAPPED) $(CARGO) run --quiet --locked --release -p hoopauth-bench -- all

bench-built: setup setup-c setup-postgres libraries
	$(CARGO) fetch --quiet --locked
	$(REMAPPED) $(CARGO) build --quiet --locked --release -p hoopauth-capi
	$(REMAPPED) $(CARGO) build --quiet --locked --release -p hoopauth-bench

# KILLS, SEED and CASES choose other courses.
soak: setup setup-postgres ## the longest tests: thousands of killed processes, and of orders of events; a JSON line for each form
	HOOPAUTH_KILLS=$(or $(KILLS),1000) $(if $(SEED),HOOPAUTH_SEED=$(SEED)) PROPTEST_CASES=$(or $(CASES),200000) \
	  $(CARGO) test --locked $(PROFILE) --workspace --exclude hoopauth-bench --test model --test sqlite --test postgres --test trouble \
	  -- kills:: no_order_of_events no_outage --nocapture --test-threads=1

# SECONDS for each target.
fuzz: setup ## made-up input for an hour in all
	fuzz/run.sh -max_total_time=$(or $(SECONDS),720)

generate: setup ## writes the files that follow from others: header, tables, types, docs, bindings/api.json
	$(CARGO) run --quiet --locked $(PROFILE) -p xtask generate

# PREFIX, LIBDIR, INCLUDEDIR and DESTDIR say where; BUILT=target/ci takes what is there instead of a release build, and needs no Rust.
install: $(if $(BUILT),,setup) ## the C library: header, shared and static library, pkg-config and CMake files
	$(if $(BUILT),,$(CARGO) fetch --quiet --locked)
	$(if $(BUILT),,$(REMAPPED) $(CARGO) rustc --locked --release -p hoopauth-capi --lib -- --print native-static-libs=target/release/native-static-libs.txt)
	$(INSTALLER) install "$(or $(BUILT),target/release)"

uninstall: ## what `make install` with the same folders installed
	$(INSTALLER) uninstall ""

# Messages name places in the sources of dependencies: not where those lie on the machine that builds.
REMAPPED = RUSTFLAGS="$$RUSTFLAGS $$(for folder in "$${CARGO_HOME:-$$HOME/.cargo}"/registry/src/*/; do printf -- '--remap-path-prefix=%s= ' "$$folder"; done)"

INSTALLER = RUSTC="$(or $(RUSTC),rustc)" PREFIX="$(or $(PREFIX),/usr/local)" LIBDIR="$(LIBDIR)" INCLUDEDIR="$(INCLUDEDIR)" DESTDIR="$(DESTDIR)" sh crates/hoopauth-capi/install/install.sh

python-setup: setup ## .venv with the pinned tools and this tree's wheel
	python/setup.sh

setup-python:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update && apt-get install -y python3; \
	  else echo "Python 3.10 or newer is missing: install python3" >&2; exit 1; fi; }

setup:
	@command -v $(CARGO) >/dev/null || { echo "a Rust toolchain is missing: install rustup, then 'rustup default stable'" >&2; exit 1; }
	@command -v cc >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update && apt-get install -y build-essential; \
	  else echo "a C compiler is missing: install build-essential" >&2; exit 1; fi; }

# For the tests of the C library.
setup-c:
	@for tool in gcc g++ valgrind pkg-config cmake; do command -v $$tool >/dev/null || missing=$$tool; done; [ -z "$$missing" ] || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update && apt-get install -y build-essential valgrind pkg-config cmake; \
	  else echo "$$missing is missing: install build-essential, valgrind, pkg-config and cmake" >&2; exit 1; fi; }

# For the tests of the PostgreSQL store, which start servers of their own.
setup-postgres:
	@{ ls /usr/lib/postgresql/*/bin/initdb && ls /usr/sbin/pgbouncer; } >/dev/null 2>&1 || { \
	  if [ -n "$$HOOPAUTH_POSTGRES_BIN" ]; then :; \
	  elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update && apt-get install -y postgresql pgbouncer; \
	  else echo "PostgreSQL's server or PgBouncer is missing: install postgresql and pgbouncer" >&2; exit 1; fi; }

libraries: ## what the examples and tests in C and C++ are built with
	@printf '#include <curl/curl.h>\n#include <cjson/cJSON.h>\n#include <nlohmann/json.hpp>\n' \
	  | c++ -std=c++17 -fsyntax-only -x c++ - 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update && apt-get install -y g++ $(LIBRARIES); \
	  else echo "development files are missing: install a C++ compiler and $(LIBRARIES)" >&2; exit 1; fi; }

LIBRARIES = libcurl4-openssl-dev libcjson-dev nlohmann-json3-dev
