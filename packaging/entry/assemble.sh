#!/bin/sh
# Makes code.ts of x64.s and arm64.s. Only who changes those needs it, with Debian's binutils and
# binutils-aarch64-linux-gnu. Usage: assemble.sh [DIRECTORY], by default this one.
set -eu
cd "$(dirname "$0")"
out=${1:-.}
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

code() {
  "$2as" -o "$work/$1.o" "$1.s"
  "$2objcopy" -O binary -j .text "$work/$1.o" "$work/$1"
  printf '\n/** %s.s, assembled, in hexadecimal. */\nexport const %s =\n  "' "$1" "$3"
  od -An -v -tx1 "$work/$1" | tr -d ' \n'
  printf '";\n'
}

{
  printf '/** Made by assemble.sh from x64.s and arm64.s. */\n'
  code x64 x86_64-linux-gnu- X64
  code arm64 aarch64-linux-gnu- ARM64
} > "$work/code.ts"
mv "$work/code.ts" "$out/code.ts"
