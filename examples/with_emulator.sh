#!/bin/sh
# Runs a program with a local HoopAI whose addresses are in the environment: with_emulator.sh
# PROGRAM [ARGUMENT]... HOOPAUTH_EMULATOR is the emulator's program, else
# target/ci/hoopauth-emulator. It ends with the program.
set -eu
emulator=${HOOPAUTH_EMULATOR:-$(dirname "$0")/../target/ci/hoopauth-emulator}
# What the user has set for production is not for the local HoopAI.
unset HOOPAI_TOKEN LOCATION_ID $(env | sed -n 's/^\(HOOPAUTH_[A-Z_]*\)=.*/\1/p')
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkfifo "$folder/stdin" "$folder/stdout"
"$emulator" <"$folder/stdin" >"$folder/stdout" &
exec 3>"$folder/stdin" 4<"$folder/stdout"
IFS= read -r line <&4
address() { printf '%s' "$line" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
HOOPAUTH_API_BASE=$(address api)
HOOPAUTH_AUTHORIZE_URL=$(address authorize)
HOOPAUTH_TOKEN_URL=$(address token)
HOOPAUTH_LOCATION_TOKEN_URL=$(address location_token)
EMULATOR_CONTROL=$(address control)
export HOOPAUTH_API_BASE HOOPAUTH_AUTHORIZE_URL HOOPAUTH_TOKEN_URL HOOPAUTH_LOCATION_TOKEN_URL
export EMULATOR_CONTROL
status=0
"$@" 3>&- 4<&- || status=$?
exec 3>&- 4<&-
wait
exit "$status"
