/**
 * The pool of a virtual server: which real servers are up, with what weight, and whether that is enough. Pure:
 * an event in, the pool afterwards and what is to be said of it out, in keepalived's words and order.
 *
 * With a sorry server a pool without quorum is the sorry server alone; without one the servers that
 * are left go on.
 */

import type { RealServer, SorryServer, VirtualServer } from "../config/lvs.ts";
import type { Script } from "../config/vrrp.ts";
import type { LogLevel } from "../lib/log.ts";
import { serverName } from "../lib/lvs_name.ts";
import { type Balanced, isAlike } from "./changes.ts";

/** A real server as it is. */
export interface ServerState {
  /** The checks that fail, by their index; it is up when there are none. */
  readonly failing: readonly number[];
  /** As configured, or as a check last said; 0 gets no new connections. */
  readonly weight: number;
  /** It starts as down and no check has said anything yet: the first word counts as a change. */
  readonly isUnheard?: true;
  /** How much of its weight a server that is slowly starting has, 0 to 1; absent is all. */
  readonly share?: number;
}

/** The real servers of a virtual server by {@link serverKey}. */
export interface Pool {
  readonly hasQuorum: boolean;
  readonly servers: ReadonlyMap<string, ServerState>;
}

/** What the operator, scripts and FIFOs are to hear. */
export type News =
  | { readonly type: "log"; readonly level: LogLevel; readonly text: string }
  | {
    readonly type: "real-server";
    readonly server: string;
    readonly isUp: boolean;
    readonly script?: Script;
  }
  | { readonly type: "quorum"; readonly isUp: boolean; readonly script?: Script };

/** A pool after an event. */
export interface Step {
  readonly pool: Pool;
  readonly news: readonly News[];
}

/** What a check has found out. */
export interface Finding {
  readonly server: string;
  /** Which of its checks. */
  readonly check: number;
  readonly isUp: boolean;
  /** When the check sets it. */
  readonly weight?: number;
}

/** What tells a real server from the others of its virtual server. */
export function serverKey({ address, port }: Pick<RealServer, "address" | "port">): string {
  return `${address} ${port}`;
}

/** The weight of a server that is in the pool. */
export function weightOf({ weight, share }: ServerState): number {
  return share === undefined || weight === 0 ? weight : Math.max(1, Math.floor(weight * share));
}

/** Whether the sorry server stands in for all others. */
export function isSorry({ sorry_server }: VirtualServer, { hasQuorum }: Pool): boolean {
  return !hasQuorum && sorry_server !== undefined;
}

/** A pool at its start: every server is up unless a check has to say so first. */
export function start(balanced: Balanced, initNotifies = false): Step {
  const { server } = balanced;
  const servers = new Map(server.real_servers.map((one) => [serverKey(one), initial(one)]));
  const news: News[] = [];
  const pool: Pool = { hasQuorum: false, servers };
  if (initNotifies) {
    for (const real of server.real_servers) {
      if (isUp(servers.get(serverKey(real)))) news.push(told(balanced, real, true));
    }
  }
  const gained = weigh(balanced, pool, news, true);
  if (gained.hasQuorum || server.sorry_server === undefined) return { pool: gained, news };
  const { quorum, hysteresis } = server;
  const line = `${quorum}+${hysteresis}=${quorum + hysteresis} > ${sumOf(pool)}`;
  news.push(log("notice", `Starting with quorum down ${line} for VS ${balanced.name}`));
  news.push(...sorryNews(balanced, server.sorry_server, true), quorumNews(server, false));
  return { pool, news };
}

function initial(real: RealServer): ServerState {
  const failing = real.checks.flatMap((check, i) => "alpha" in check && check.alpha ? [i] : []);
  return { failing, weight: real.weight, ...(failing.length > 0 ? { isUnheard: true } : {}) };
}

/** A check has reported. */
export function hear(balanced: Balanced, pool: Pool, finding: Finding): Step {
  const real = balanced.server.real_servers.find((one) => serverKey(one) === finding.server);
  const before = pool.servers.get(finding.server);
  if (real === undefined || before === undefined) return { pool, news: [] };
  const others = before.failing.filter((check) => check !== finding.check);
  const failing = finding.isUp ? others : [...others, finding.check];
  const { share, isUnheard, ...rest } = before;
  const step = replace(balanced, pool, real, {
    ...rest,
    failing,
    weight: finding.weight ?? before.weight,
    // A server that comes up starts anew.
    ...(share === undefined || !isUp(before) ? {} : { share }),
    ...(isUnheard === true && failing.length > 0 && finding.isUp ? { isUnheard } : {}),
  });
  if (isUnheard !== true || finding.isUp) return step;
  return { ...step, news: [...step.news, told(balanced, real, false)] };
}

/** A server that is slowly starting has reached a share of its weight; undefined: all of it. */
export function ramp(pool: Pool, server: string, share: number | undefined): Pool {
  const before = pool.servers.get(server);
  if (before === undefined) return pool;
  const { share: _, ...rest } = before;
  const after = share === undefined ? rest : { ...rest, share };
  return { ...pool, servers: new Map(pool.servers).set(server, after) };
}

function replace(balanced: Balanced, pool: Pool, real: RealServer, after: ServerState): Step {
  const key = serverKey(real);
  const before = pool.servers.get(key)!;
  const news: News[] = [];
  if (before.weight !== after.weight) {
    news.push(weightNews(balanced, real, before.weight, after));
  }
  if (isUp(before) !== isUp(after)) news.push(...aliveNews(balanced, real, isUp(after)));
  const next = { ...pool, servers: new Map(pool.servers).set(key, after) };
  return { pool: weigh(balanced, next, news), news };
}

/** The configuration of a virtual server has changed: what is the same goes on as it is. */
export function reconfigure(before: Balanced, after: Balanced, pool: Pool): Step {
  const news: News[] = [];
  const old = new Map(before.server.real_servers.map((one) => [serverKey(one), one]));
  const servers = new Map<string, ServerState>();
  for (const real of after.server.real_servers) {
    const key = serverKey(real);
    const known = old.get(key);
    const state = pool.servers.get(key);
    if (known === undefined || state === undefined) servers.set(key, initial(real));
    else {
      const next = carryOver(known, real, state);
      if (next.weight !== state.weight) {
        news.push(weightNews(after, real, state.weight, next));
      }
      servers.set(key, next);
    }
    old.delete(key);
  }
  for (const [key, real] of old) {
    news.push(log("info", `service ${nameOf(before, real)} no longer exist`));
    if (isUp(pool.servers.get(key))) news.push(...aliveNews(before, real, false, "Removing"));
  }
  if (!pool.hasQuorum) news.push(...sorryChange(before, after));
  return { pool: weigh(after, { ...pool, servers }, news), news };
}

/** A server whose configuration has changed: what its checks have found stays where they stay. */
function carryOver(before: RealServer, after: RealServer, state: ServerState): ServerState {
  const fresh = initial(after);
  const failing = after.checks.flatMap((check, i) => {
    const was = before.checks.findIndex((one) => isAlike(one, check));
    return (was < 0 ? fresh.failing.includes(i) : state.failing.includes(was)) ? [i] : [];
  });
  // A weight that a check has set stays, unless the file sets another.
  const weight = before.weight === after.weight ? state.weight : after.weight;
  return { ...state, failing, weight };
}

function sorryChange(before: Balanced, after: Balanced): News[] {
  const [old, next] = [before.server.sorry_server, after.server.sorry_server];
  if (isAlike(old, next)) return [];
  return [
    ...(old === undefined ? [] : [log("info", sorryLine(before, old, false))]),
    ...(next === undefined ? [] : [log("info", sorryLine(after, next, true))]),
  ];
}

/** A virtual server goes: a reload's is told of, at the end only `omega`s are. */
export function stop(balanced: Balanced, pool: Pool, isReload: boolean): News[] {
  const { server, name } = balanced;
  const news: News[] = [];
  const isTold = isReload || server.omega;
  if (isReload) {
    const kind = server.target.type === "group" ? `Group [${server.target.group}]` : name;
    news.push(log("info", `Removing Virtual Server ${kind}`));
  }
  for (const real of server.real_servers) {
    const state = pool.servers.get(serverKey(real));
    const isInhibited = !isUp(state) && real.inhibit_on_failure;
    const verb = isReload ? "Removing" : "Shutting down";
    const what = `${isInhibited ? "(inhibited) " : ""}service ${nameOf(balanced, real)}`;
    news.push(log("info", `${verb} ${what} from VS ${name}`));
    if (isTold && isUp(state)) news.push(told(balanced, real, false));
  }
  if (isTold) news.push(quorumNews(server, false));
  return news;
}

/** Gains or loses quorum as the weights demand. */
function weigh(balanced: Balanced, pool: Pool, news: News[], isStart = false): Pool {
  const { server, name } = balanced;
  const { quorum, hysteresis, sorry_server: sorry } = server;
  const sum = sumOf(pool);
  if (!pool.hasQuorum && sum > 0 && sum >= quorum + hysteresis) {
    const line = `${quorum}+${hysteresis}=${quorum + hysteresis} <= ${sum}`;
    news.push(log("notice", `Gained quorum ${line} for VS ${name}`));
    if (sorry !== undefined && !isStart) news.push(...sorryNews(balanced, sorry, false));
    news.push(quorumNews(server, true));
    return { ...pool, hasQuorum: true };
  }
  if (pool.hasQuorum && (sum === 0 || sum < quorum - hysteresis)) {
    const line = `${quorum}-${hysteresis}=${quorum - hysteresis} > ${sum}`;
    news.push(log("notice", `Lost quorum ${line} for VS ${name}`));
    if (sorry !== undefined) news.push(...sorryNews(balanced, sorry, true));
    news.push(quorumNews(server, false));
    return { ...pool, hasQuorum: false };
  }
  return pool;
}

/** The weight of all servers that are up. */
export function sumOf({ servers }: Pool): number {
  let sum = 0;
  for (const state of servers.values()) if (isUp(state)) sum += state.weight;
  return sum;
}

function isUp(state: ServerState | undefined): boolean {
  return state?.failing.length === 0;
}

function log(level: LogLevel, text: string): News {
  return { type: "log", level, text };
}

/** A real server as messages name it. */
export function nameOf({ server: { protocol } }: Balanced, { address, port }: {
  readonly address: string;
  readonly port: number;
}): string {
  return serverName(address, protocol?.toLowerCase() ?? "none", port);
}

function weightNews(balanced: Balanced, real: RealServer, was: number, after: ServerState): News {
  const what = `${isUp(after) ? "" : "in"}active service ${nameOf(balanced, real)}`;
  const text = `Changing weight from ${was} to ${after.weight} for ${what} of VS ${balanced.name}`;
  return log("info", text);
}

function aliveNews(
  balanced: Balanced,
  real: RealServer,
  isAlive: boolean,
  verb = real.inhibit_on_failure ? "Disabling" : "Removing",
): News[] {
  const text = isAlive
    ? real.inhibit_on_failure
      ? `Enabling service ${nameOf(balanced, real)} of VS ${balanced.name}`
      : `Adding service ${nameOf(balanced, real)} to VS ${balanced.name}`
    : `${verb} service ${nameOf(balanced, real)} ${
      verb === "Disabling" ? "of" : "from"
    } VS ${balanced.name}`;
  return [log("info", text), told(balanced, real, isAlive)];
}

function told(balanced: Balanced, real: RealServer, isAlive: boolean): News {
  const script = isAlive ? real.notify_up : real.notify_down;
  const news = { type: "real-server", server: nameOf(balanced, real), isUp: isAlive } as const;
  return script === undefined ? news : { ...news, script };
}

function quorumNews({ quorum_up, quorum_down }: VirtualServer, isGained: boolean): News {
  const script = isGained ? quorum_up : quorum_down;
  return { type: "quorum", isUp: isGained, ...(script === undefined ? {} : { script }) };
}

function sorryNews(balanced: Balanced, sorry: SorryServer, isComing: boolean): News[] {
  const pool = isComing ? "Removing alive servers from" : "Adding alive servers to";
  return [
    log("info", sorryLine(balanced, sorry, isComing)),
    log("info", `${pool} the pool for VS ${balanced.name}`),
  ];
}

function sorryLine(balanced: Balanced, sorry: SorryServer, isComing: boolean): string {
  const adds = sorry.inhibit ? "Enabling" : "Adding";
  const removes = sorry.inhibit ? "Disabling" : "Removing";
  const what = `sorry server ${nameOf(balanced, sorry)}`;
  return isComing
    ? `${adds} ${what} to VS ${balanced.name}`
    : `${removes} ${what} from VS ${balanced.name}`;
}
