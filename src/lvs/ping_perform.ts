/** Ping sockets: the kernel hands them out to the groups that net.ipv4.ping_group_range names, which may be none. */

import { readSysctl, writeSysctl } from "../../ffi/sysctl.ts";

const SETTING = "net/ipv4/ping_group_range";

let isDone = false;

/** Lets our own group have ping sockets, as keepalived does; asked once. `warn` is told when that fails. */
export function allowPings(warn: (text: string) => void): void {
  if (isDone) return;
  isDone = true;
  const [first = 1, last = 0] = (readSysctl(SETTING) ?? "").split(/\s+/).map(Number);
  const own = process.getegid?.() ?? 0;
  if (own >= first && own <= last) return;
  // "1 0" is no group at all.
  const range = first > last ? [own, own] : [Math.min(first, own), Math.max(last, own)];
  if (writeSysctl(SETTING, range.join(" ")) !== undefined) {
    warn(`PING_CHECK: group ${own} gets no ping sockets, and ${SETTING} cannot be changed`);
  }
}
