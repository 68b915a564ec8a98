/**
 * Which of the kernel's two synchronisation daemons are to run: both, or with a VRRP instance the one that
 * tells while it is MASTER and the one that listens while it is not.
 */

import { parseAddress } from "../lib/address.ts";
import type { SyncDaemon } from "../netlink/ipvs_control.ts";
import type { BalancerGlobals } from "./changes.ts";

/** The daemons that are to run; `state` is that of the instance they follow, undefined while unknown. */
export function wantedDaemons(
  configured: BalancerGlobals["syncDaemon"],
  state: string | undefined,
): SyncDaemon[] {
  if (configured === undefined) return [];
  const { interface: link, instance, id: syncId, maxlen, port, ttl, group } = configured;
  const address = group === undefined ? undefined : parseAddress(group);
  const settings = {
    link,
    syncId,
    ...(maxlen === undefined ? {} : { maxLength: maxlen }),
    ...(port === undefined ? {} : { port }),
    ...(ttl === undefined ? {} : { ttl }),
    ...(address === undefined ? {} : { group: address }),
  };
  const [master, backup]: SyncDaemon[] = [
    { state: "master", ...settings },
    { state: "backup", ...settings },
  ];
  if (instance === undefined) return [master!, backup!];
  if (state === undefined || state === "INIT") return [];
  return [state === "MASTER" ? master! : backup!];
}

/** Whether a daemon that runs is the one that is wanted, as far as that says. */
export function isSameDaemon(running: SyncDaemon, wanted: SyncDaemon): boolean {
  return running.state === wanted.state && running.link === wanted.link &&
    running.syncId === wanted.syncId &&
    (wanted.maxLength === undefined || running.maxLength === wanted.maxLength) &&
    (wanted.port === undefined || running.port === wanted.port) &&
    (wanted.ttl === undefined || running.ttl === wanted.ttl) &&
    (wanted.group === undefined || running.group?.toHex() === wanted.group.toHex());
}
