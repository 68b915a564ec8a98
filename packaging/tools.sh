#!/bin/sh
# Installs the pinned tools and libraries of package-lock.json. Where npm runs no install scripts
# (ignore-scripts), the bun package is left without its executable; its own script then fetches
# it from the package npm has just installed beside it.
set -eu
cd "$(dirname "$0")/.."
npm install --no-audit --no-fund --loglevel=error
node_modules/.bin/bun --version >/dev/null 2>&1 || node node_modules/bun/install.js
