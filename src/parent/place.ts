/**
 * Where a daemon is among others of its kind: its network namespace and its name as an instance. They decide
 * the names of its pid files and what its lines are marked with in syslog, and never change while it lives.
 */

import type { DaemonOptions } from "../cli/options.ts";
import type { DaemonSettings } from "../config/load.ts";

/** What tells daemons of one machine apart. */
export interface Place {
  /** The network namespace that is to be entered; undefined stays where it was started. */
  readonly namespace?: string;
  /** The network namespace whose IPVS is used; empty is that of process 1, undefined its own. */
  readonly ipvsNamespace?: string;
  readonly instance?: string;
  readonly use_pid_dir?: true;
}

/** Where ip-netns(8) keeps network namespaces. */
const NAMESPACES = "/run/netns";

/** The path of a network namespace by its name; without one it is that of process 1. */
export function namespacePath(name: string): string {
  return name === "" ? "/proc/1/ns/net" : `${NAMESPACES}/${name}`;
}

/** Where pid files are when they have a directory of their own. */
export const PID_FOLDER = "/run/keepalived";

/** The place a command line and a configuration ask for; `-s` beats `net_namespace`. */
export function placeOf(
  { namespace }: Pick<DaemonOptions, "namespace">,
  { net_namespace, net_namespace_ipvs, instance, use_pid_dir }: DaemonSettings = {},
): Place {
  const name = namespace ?? net_namespace;
  return {
    ...(name === undefined ? {} : { namespace: name }),
    ...(net_namespace_ipvs === undefined ? {} : { ipvsNamespace: net_namespace_ipvs }),
    ...(instance === undefined ? {} : { instance }),
    ...(use_pid_dir === true ? { use_pid_dir } : {}),
  };
}

/** Whether pid files go to {@link PID_FOLDER}. */
export function usesPidFolder({ namespace, instance, use_pid_dir }: Place): boolean {
  return use_pid_dir === true || namespace !== undefined || instance !== undefined;
}

/** The pid file of a process whose usual one is `/run/NAME.pid`; one that was asked for by name stays. */
export function pidFileAt(place: Place, name: string, wanted: string): string {
  if (wanted !== `/run/${name}.pid` || !usesPidFolder(place)) return wanted;
  const { instance } = place;
  return `${PID_FOLDER}/${name}${instance === undefined ? "" : `_${instance}`}.pid`;
}

/** What follows a syslog ident. */
export function identSuffix({ namespace, instance }: Place): string {
  return [namespace, instance].flatMap((one) => one === undefined ? [] : [`_${one}`]).join("");
}
