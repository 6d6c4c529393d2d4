# The commands a person runs. Each sets up what it needs, inside the tree.
CARGO ?= cargo
PROFILE = --profile ci

.PHONY: demo test lint bench docs header setup libraries

demo: setup libraries ## the main job, end to end, against a local HoopAI, in every language
	$(CARGO) build --quiet --locked $(PROFILE) --workspace --exclude hoopauth-bench --lib --bins --examples
	@echo "In Rust:" && target/ci/examples/demo && examples/demo.sh

test: setup libraries lint ## all tests
	$(CARGO) build --locked $(PROFILE) --workspace --exclude hoopauth-bench --lib --tests --examples # cargo test makes no C libraries
	$(CARGO) test --locked $(PROFILE) --workspace --exclude hoopauth-bench
	$(CARGO) test --locked $(PROFILE) -p hoopauth --no-default-features --lib
	$(CARGO) test --locked $(PROFILE) -p hoopauth --features shuttle --lib flight::

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked $(PROFILE) --workspace --all-targets -- -D warnings

bench: setup ## the promised figures, as JSON lines
	$(CARGO) run --quiet --locked --release -p hoopauth-bench

docs: setup ## writes docs/options.md from the table of options
	$(CARGO) run --quiet --locked $(PROFILE) -p hoopauth --example options_page > docs/options.md

header: setup ## writes include/hoopauth.h from crates/hoopauth-capi
	$(CARGO) run --quiet --locked $(PROFILE) -p hoopauth-capi --example header > include/hoopauth.h.new
	mv include/hoopauth.h.new include/hoopauth.h

setup:
	@command -v $(CARGO) >/dev/null || { echo "a Rust toolchain is missing: install rustup, then 'rustup default stable'" >&2; exit 1; }
	@command -v cc >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update && apt-get install -y build-essential; \
	  else echo "a C compiler is missing: install build-essential" >&2; exit 1; fi; }

libraries: ## what the examples and tests in C and C++ are built with
	@printf '#include <curl/curl.h>\n#include <cjson/cJSON.h>\n#include <nlohmann/json.hpp>\n' \
	  | c++ -std=c++17 -fsyntax-only -x c++ - 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update && apt-get install -y g++ $(LIBRARIES); \
	  else echo "development files are missing: install a C++ compiler and $(LIBRARIES)" >&2; exit 1; fi; }

LIBRARIES = libcurl4-openssl-dev libcjson-dev nlohmann-json3-dev
