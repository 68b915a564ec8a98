/**
 * What a MASTER does when somebody else takes away an address, route or rule that it holds: put it back
 * and stay. keepalived steps down instead, and so do we when an object does not stay where it is put, or
 * when `vip_removed step_down` asks for it. Pure: the removals of the past are a value, moments are
 * arguments.
 */

import { step } from "./fsm.ts";
import { freshBackup, toBackup } from "./moves.ts";
import type { Event, State, Step, VirtualRouter } from "./state.ts";

/** So many repairs of one object within {@link WINDOW_US} are made; the next removal is not repaired. */
export const MOST_REPAIRS = 10;
/** How long a repair counts. */
export const WINDOW_US = 10_000_000;

/** What an instance does about a removal. */
export type RemovalPolicy = "repair" | "step_down";

/** What a vrrp_instance says about it. */
export interface RemovalOption {
  /** `step_down` is keepalived's behaviour; absent means repair. */
  readonly vip_removed?: RemovalPolicy;
}

/** What an instance does about a removal. */
export function policyOf(option: RemovalOption): RemovalPolicy {
  return option.vip_removed ?? "repair";
}

/**
 * What somebody else has taken from a MASTER, and what is known about it when everything that came with it
 * has been heard.
 */
export interface Removal {
  readonly policy: RemovalPolicy;
  /** It is there again already, or about to be. */
  readonly isBack: boolean;
  /** It was configured with `no_track`. */
  readonly noTrack: boolean;
  /** The link that held it exists and works; else this is a link-down, not a removal. */
  readonly isLinkUp: boolean;
}

/** What to do about a removal. */
export type Verdict = "ignore" | "repair" | "step-down";

/** A verdict and the moments of the repairs of this object that still count. */
export interface Judgement {
  readonly verdict: Verdict;
  readonly repairedAt: readonly number[];
}

/** Judges one removal; `repairedAt` are the earlier repairs of the same object, oldest first. */
export function judgeRemoval(
  removal: Removal,
  repairedAt: readonly number[],
  now: number,
): Judgement {
  const recent = repairedAt.filter((at) => at > now - WINDOW_US);
  const { policy, isBack, noTrack, isLinkUp } = removal;
  if (isBack || noTrack || !isLinkUp) {
    return { verdict: "ignore", repairedAt: recent };
  }
  if (policy === "step_down" || recent.length >= MOST_REPAIRS) {
    return { verdict: "step-down", repairedAt: recent };
  }
  return { verdict: "repair", repairedAt: [...recent, now] };
}

/** What can happen to an instance: what its machine knows, and giving up. */
export type InstanceEvent = Event | { readonly type: "retreat" };

/** The step of an instance that is in no sync group. */
export function stepAlone(
  router: VirtualRouter,
  state: State,
  event: InstanceEvent,
  now: number,
): Step {
  if (event.type !== "retreat") return step(router, state, event, now);
  return state.name === "MASTER" ? retreat(state, now) : { state, actions: [] };
}

/**
 * Leaves the addresses to a peer without a fault: priority 0, so that it need not wait, and BACKUP that
 * stands as a candidate again after Skew_Time.
 */
export function retreat(from: State, now: number): Step {
  const next = { ...freshBackup(now), leaving: true };
  return toBackup(from, next, [{ type: "advert", priority: 0 }, { type: "remove" }]);
}

/** What is known about who removed something. */
export interface Evidence {
  /** Port id of the netlink socket that asked for it; 0 when the kernel does not tell (IPv6, ioctl). */
  readonly port: number;
  /** The name of the process that this port usually belongs to, if it still runs. */
  readonly program: string | undefined;
  /** Programs that run here and are known to remove addresses that are not their own. */
  readonly suspects: readonly string[];
}

/** Names of processes, as the kernel cuts them (15 bytes), that think of a link's addresses as theirs. */
export const KNOWN_SUSPECTS: ReadonlyMap<string, string> = new Map([
  ["NetworkManager", "NetworkManager"],
  ["systemd-network", "systemd-networkd"],
  ["dhclient", "dhclient"],
  ["dhcpcd", "dhcpcd"],
  ["udhcpc", "udhcpc"],
  ["connmand", "connmand"],
  ["wickedd", "wickedd"],
  ["netifd", "netifd"],
  ["cloud-init", "cloud-init"],
]);

/** The process id that a netlink port usually stands for; undefined when the kernel chose it at random. */
export function pidOfPort(port: number): number | undefined {
  // The first socket of a process gets its id; libraries number further ones in the upper 10 bits.
  const isRandom = port === 0 || port >= 0x8000_0000;
  return isRandom ? undefined : port & 0x3f_ffff;
}

/** Who it probably was, for the log. */
export function nameCulprit({ port, program, suspects }: Evidence): string {
  const pid = pidOfPort(port);
  if (program !== undefined) {
    return `by ${KNOWN_SUSPECTS.get(program) ?? program} (process ${pid})`;
  }
  const running = suspects.map((one) => KNOWN_SUSPECTS.get(one) ?? one).join(", ");
  const hint = running === "" ? "" : `; running here: ${running}`;
  if (pid !== undefined) return `by process ${pid}, which has ended${hint}`;
  return running === "" ? "by a process the kernel does not name" : `probably by ${running}`;
}
