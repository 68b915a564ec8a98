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
export function notifyStatus(states: ReadonlyMap<string, string>): void {
  if (target === undefined) return;
  if (states.size <= NAMED) {
    const each = [...states].map(([name, state]) => `${name} ${state}`);
    target.send(`STATUS=${each.join(", ")}`);
    return;
  }
  const counts = Map.groupBy(states.values(), (state) => state);
  const each = [...counts].map(([state, all]) => `${all.length} ${state}`);
  target.send(`STATUS=${each.join(", ")}`);
}
