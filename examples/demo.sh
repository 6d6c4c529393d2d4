#!/bin/sh
# What `make demo` runs after the demo in Rust: the same story in C, in C++, and in Python where its
# module is built.
set -eu
cd "$(dirname "$0")/.."
built=$PWD/target/ci
out=$PWD/target/demo
mkdir -p "$out"
soname=$(readelf -d "$built/libhoopauth.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
ln -sf "$built/libhoopauth.so" "$out/$soname"
ln -sf "$built/libhoopauth.so" "$out/libhoopauth.so"
link="-L$out -Wl,-rpath,$out -lhoopauth -lcurl"

echo && echo "In C:"
strict="-Wall -Wextra -Werror -pedantic"
cc -std=c11 -D_DEFAULT_SOURCE $strict -Iinclude examples/c/demo.c -o "$out/demo-c" $link
examples/with_emulator.sh "$out/demo-c"

echo && echo "In C++:"
c++ -std=c++17 $strict -Iinclude -Ibindings/cpp/include examples/cpp/demo.cpp \
  -o "$out/demo-cpp" $link
examples/with_emulator.sh "$out/demo-cpp"

if [ -f examples/python/demo.py ] && [ -x .venv/bin/python ]; then
  echo && echo "In Python:"
  HOOPAUTH_EMULATOR=${HOOPAUTH_EMULATOR:-$built/hoopauth-emulator} .venv/bin/python examples/python/demo.py
fi
