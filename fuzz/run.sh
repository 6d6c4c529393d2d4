#!/usr/bin/env bash
# Runs every target, with what libFuzzer is told: `fuzz/run.sh -runs=20000`. Sets up what it needs
# inside the tree.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=target/tools/bin/cargo-fuzz
[ -x "$tool" ] || cargo install --quiet --locked --root target/tools cargo-fuzz
command -v c++ >/dev/null || { echo "a C++ compiler is missing: install g++" >&2; exit 1; }
# libFuzzer needs coverage and the address sanitizer, which a stable compiler has but hides.
export RUSTC_BOOTSTRAP=1
seed=${HOOPAUTH_SEED:-$RANDOM}
for target in headers keys events redirects token_answers good_answers; do
  echo "fuzz $target: seed $seed" >&2
  # A run starts from the committed corpus. Its own finds stay out of the tree.
  finds=target/fuzz-corpus/$target
  mkdir -p "$finds"
  "$tool" run --target-dir target/fuzz "$target" "$finds" "fuzz/corpus/$target" -- \
    -seed="$seed" -max_len=4096 -timeout=60 -rss_limit_mb=4096 -verbosity=0 "$@" || {
    echo "fuzz $target: failed; the input lies in fuzz/artifacts/$target" >&2
    exit 1
  }
done
