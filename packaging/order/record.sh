#!/bin/sh
# Records which functions a start runs, in which order: build.sh lays the bytecode out so that they lie
# together, and a start touches fewer pages. What has changed since is laid out as it comes, so this is run
# again only when starts have changed much. Needs root, for a namespace with a link to be MASTER on.
# Usage: record.sh, after a build
set -eu
if [ "${1-}" != inside ]; then exec unshare -n sh "$0" inside; fi
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
upkeep=../../dist/upkeep
ip link add eth0 type veth peer name eth1
ip address add 192.0.2.1/24 dev eth0
ip link set eth0 up
ip link set eth1 up
cat > "$work/conf" <<'END'
vrrp_instance VI_1 {
  interface eth0
  virtual_router_id 1
  priority 255
  virtual_ipaddress {
    192.0.2.100/24
  }
}
END

# Each process writes its own record when it ends, over whatever is there.
run() {
  : > "$work/log"
  BUN_BYTECODE_ORDER_OUT="$work/$1" "$upkeep" -n -l -G -f "$work/conf" -p "$work/pid" -r "$work/vrrp" 2>> "$work/log" &
  until grep -q 'Startup complete' "$work/log"; do sleep 0.1; done
  role=$(cat "$work/vrrp")
  kill "-$2" $!
  wait $! || true
  while [ -e "/proc/$role" ]; do sleep 0.1; done
}
run parent TERM
run vrrp KILL
BUN_BYTECODE_ORDER_OUT="$work/check" "$upkeep" -t -f "$work/conf"

# Functions, modules and their names; the constants follow by themselves.
for name in vrrp parent check; do grep '^[vFMN]' "$work/$name" > "$name"; done
