/** systemd's notification protocol (sd_notify(3)): silent when systemd did not ask for it. */

import { Datagrams } from "../../ffi/datagram.ts";
import { monotonicUs } from "../../ffi/timer.ts";

let target: Datagrams | undefined;

/** Remembers NOTIFY_SOCKET and takes it out of the environment, so that no script inherits it. */
export function openNotifications(): void {
  const path = process.env["NOTIFY_SOCKET"];
  delete process.env["NOTIFY_SOCKET"];
  if (path !== undefined && path !== "") target = new Datagrams(path);
}

/** Tells systemd where we are. */
export function notifySystemd(what: "ready" | "reloading" | "stopping"): void {
  switch (what) {
    case "ready":
      target?.send(`READY=1\nMAINPID=${process.pid}`);
      return;
    case "reloading":
      target?.send(`RELOADING=1\nMONOTONIC_USEC=${monotonicUs()}`);
      return;
    case "stopping":
      target?.send("STOPPING=1");
      return;
  }
}

/** How many instances `systemctl status` names one by one. */
const NAMED = 8;

/** Shows the states of the instances in `systemctl status`. */
export function notifyStatus(states: ReadonlyMap<string, Standing>): void {
  target?.send(`STATUS=${statusLine(states)}`);
}

/** What has become of an instance. */
export interface Standing {
  readonly state: string;
  /** Why, where that is worth a place. */
  readonly reason?: string | undefined;
}

/** The states of all instances in a line; of many only how many there are, and who is not well. */
export function statusLine(states: ReadonlyMap<string, Standing>): string {
  const isMany = states.size > NAMED;
  const isNamed = ({ reason }: Standing): boolean => !isMany || reason !== undefined;
  const named = [...states].filter(([, one]) => isNamed(one)).map(([name, { state, reason }]) =>
    reason === undefined ? `${name} ${state}` : `${name} ${state} (${reason})`
  );
  if (!isMany) return named.join(", ");
  const counts = Map.groupBy(states.values(), ({ state }) => state);
  const each = [...counts].map(([state, all]) => `${all.length} ${state}`);
  return [...each, ...named.slice(0, NAMED)].join(", ");
}
