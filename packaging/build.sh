#!/bin/sh
# Builds dist/upkeep, the one executable. A root daemon must not read .env or bunfig.toml from the
# folder it happens to start in, hence the two --no-compile-autoload flags. Splitting keeps what a role
# never runs out of the code it must load before its first line: a millisecond of every start. The JIT
# policy keeps code that only the start runs from being compiled; the daemon ends it when it has settled. What
# a start runs lies together in the file (order/record.sh).
# Usage: build.sh [OUTFILE [FLAG...]]; the flags are for another machine's executable.
set -eu
cd "$(dirname "$0")/.."
out=${1:-dist/upkeep}
[ $# -eq 0 ] || shift
order=packaging/order/vrrp,packaging/order/parent,packaging/order/check
mkdir -p "$(dirname "$out")"
rm -f "$(dirname "$out")"/*.map
node_modules/.bin/bun build --compile --minify --bytecode --bytecode-order=$order \
  --compile-jit-policy=50 --splitting --format=esm --sourcemap=linked \
  --no-compile-autoload-dotenv --no-compile-autoload-bunfig "$@" src/main.ts --outfile "$out"
node_modules/.bin/bun packaging/entry.ts "$out"
