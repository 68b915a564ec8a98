#!/bin/sh
# Builds dist/upkeep, the one executable. A root daemon must not read .env or bunfig.toml from the
# folder it happens to start in, hence the two --no-compile-autoload flags.
set -eu
cd "$(dirname "$0")/.."
mkdir -p dist
exec node_modules/.bin/bun build --compile --minify --bytecode --sourcemap=linked \
  --no-compile-autoload-dotenv --no-compile-autoload-bunfig \
  src/main.ts --outfile dist/upkeep
