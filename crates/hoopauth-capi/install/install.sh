#!/bin/sh
# Installs the C library, or removes it:  install.sh install|uninstall FOLDER-OF-THE-BUILT-LIBRARIES
# PREFIX (/usr/local), LIBDIR ($PREFIX/lib), INCLUDEDIR ($PREFIX/include) say where; DESTDIR goes in
# front of all of them.
set -eu

action=$1
built=$2
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
: "${PREFIX:=/usr/local}"
: "${LIBDIR:=$PREFIX/lib}"
: "${INCLUDEDIR:=$PREFIX/include}"
: "${DESTDIR:=}"
: "${RUSTC:=rustc}"

version=$(sed -n 's/^#define HOOPAUTH_VERSION "\(.*\)"$/\1/p' "$top/include/hoopauth.h")
major=${version%%.*}
rest=${version#*.}
# Before 1.0 each minor version may break what was linked against the one before.
if [ "$major" = 0 ]; then abi=0.${rest%%.*}; else abi=$major; fi

lib=$DESTDIR$LIBDIR
include=$DESTDIR$INCLUDEDIR
cmake=$lib/cmake/hoopauth

case $(uname -s) in
  Darwin) shared=libhoopauth.dylib real=libhoopauth.$version.dylib link=libhoopauth.$abi.dylib ;;
  *) shared=libhoopauth.so real=libhoopauth.so.$version link=libhoopauth.so.$abi ;;
esac

if [ "$action" = uninstall ]; then
  rm -f "$include/hoopauth.h" "$include/hoopauth.hpp" \
    "$lib/$shared" "$lib/$link" "$lib/$real" "$lib/libhoopauth.a" \
    "$lib/pkgconfig/hoopauth.pc" "$cmake/hoopauthConfig.cmake" "$cmake/hoopauthConfigVersion.cmake"
  rmdir "$cmake" 2>/dev/null || true
  exit 0
fi

for file in "$shared" libhoopauth.a; do
  [ -f "$built/$file" ] || { echo "$built/$file is missing: build it first" >&2; exit 1; }
done

# What a program needs beside libhoopauth.a: as the build noted it, or else what every Rust library
# needs here, as rustc says or, without one, as it said for 1.89.
if [ -f "$built/native-static-libs.txt" ]; then
  private=$(cat "$built/native-static-libs.txt")
elif ! command -v "$RUSTC" > /dev/null; then
  case $(uname -s) in
    Darwin) private="-lSystem -lc -lm" ;;
    *) private="-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc" ;;
  esac
else
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  : > "$scratch/nothing.rs"
  private=$("$RUSTC" --crate-type staticlib --print native-static-libs \
    -o "$scratch/nothing.a" "$scratch/nothing.rs" 2>&1 |
    sed -n 's/.*native-static-libs: //p')
fi
[ -n "$private" ] || { echo "rustc does not say what a static library needs" >&2; exit 1; }

# The paths in the files are relative to them, so that the whole tree can be moved.
up() { # the way from a folder below $PREFIX up to it
  case $1 in
    "$PREFIX"/*) echo "${1#"$PREFIX"/}" | sed 's/[^/][^/]*/../g' ;;
    *) return 1 ;;
  esac
}
if way=$(up "$LIBDIR/pkgconfig"); then pc_prefix="\${pcfiledir}/$way"; else pc_prefix=$PREFIX; fi
if way=$(up "$LIBDIR/cmake/hoopauth"); then
  cmake_prefix="\${CMAKE_CURRENT_LIST_DIR}/$way"
else
  cmake_prefix=$PREFIX
fi
below() { # a folder as seen from the prefix
  case $2 in "$PREFIX"/*) echo "$1/${2#"$PREFIX"/}" ;; *) echo "$2" ;; esac
}
fill() {
  sed -e "s|@VERSION@|$version|g" -e "s|@ABI@|$abi|g" -e "s|@PRIVATE@|$private|g" \
    -e "s|@REAL@|$real|g" -e "s|@LINK@|$link|g" \
    -e "s|@PC_PREFIX@|$pc_prefix|g" -e "s|@CMAKE_PREFIX@|$cmake_prefix|g" \
    -e "s|@PC_LIBDIR@|$(below '${prefix}' "$LIBDIR")|g" \
    -e "s|@PC_INCLUDEDIR@|$(below '${prefix}' "$INCLUDEDIR")|g" \
    -e "s|@CMAKE_LIBDIR@|$(below '${_hoopauth_prefix}' "$LIBDIR")|g" \
    -e "s|@CMAKE_INCLUDEDIR@|$(below '${_hoopauth_prefix}' "$INCLUDEDIR")|g" "$here/$1" > "$2"
  chmod 644 "$2"
}

mkdir -p "$include" "$lib/pkgconfig" "$cmake"
install -m 644 "$top/include/hoopauth.h" "$include/hoopauth.h"
if [ -f "$top/bindings/cpp/include/hoopauth.hpp" ]; then
  install -m 644 "$top/bindings/cpp/include/hoopauth.hpp" "$include/hoopauth.hpp"
fi
# A library that programs have mapped is replaced, not written over.
install -m 755 "$built/$shared" "$lib/$real.new"
mv -f "$lib/$real.new" "$lib/$real"
ln -sf "$real" "$lib/$link"
ln -sf "$link" "$lib/$shared"
install -m 644 "$built/libhoopauth.a" "$lib/libhoopauth.a"
fill hoopauth.pc.in "$lib/pkgconfig/hoopauth.pc"
fill hoopauthConfig.cmake.in "$cmake/hoopauthConfig.cmake"
fill hoopauthConfigVersion.cmake.in "$cmake/hoopauthConfigVersion.cmake"
