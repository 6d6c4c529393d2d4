#!/bin/sh
# `make demo` runs this after the demo in Rust: the same story in C, in C++ and in Python.
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

echo && echo "In Python:"
# The package of the tree, with the module that was just built.
module=$out/python/hoopauth
rm -rf "$module" && mkdir -p "$module"
cp python/hoopauth/*.py python/hoopauth/*.pyi "$module"
ln -s "$built/lib_hoopauth.so" "$module/_hoopauth.abi3.so"
PYTHONPATH=$out/python HOOPAUTH_EMULATOR=${HOOPAUTH_EMULATOR:-$built/hoopauth-emulator} \
  python3 examples/python/demo.py
