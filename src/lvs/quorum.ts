/**
 * The pool of a virtual server: which real servers are up, with what weight, and whether that is enough. Pure:
 * an event in, the pool afterwards and what is to be said of it out, in keepalived's words and order.
 *
 * With a sorry server a pool without quorum is the sorry server alone; without one the servers that
 * are left go on.
 */

import type { RealServer, VirtualServer } from "../config/lvs.ts";
import { type Balanced, isAlike, type KnownPool, type ServerHealth } from "./changes.ts";
import {
  aliveNews,
  liftNews,
  log,
  nameOf,
  type News,
  orderNews,
  quorumMail,
  quorumNews,
  sorryLine,
  sorryNews,
  told,
  weightNews,
} from "./news.ts";
import type { Order, ServerOrders } from "./orders.ts";

/** A real server as it is. */
export interface ServerState extends ServerHealth {
  /** It starts as down and no check has said anything yet: the first word counts as a change. */
  readonly isUnheard?: true;
  /** How much of its weight a server that is slowly starting has, 0 to 1; absent is all. */
  readonly share?: number;
  /** What an operator wants of it. */
  readonly order?: Order;
  /** Of one in maintenance: it was up when that began, and nobody was told that it has failed. */
  readonly wasUp?: true;
}

/** The real servers of a virtual server. */
export interface Pool {
  readonly hasQuorum: boolean;
  /** In the order of its `real_servers`: a map would take half a kilobyte for a few of them. */
  readonly servers: readonly ServerState[];
}

/** What a pool starts with. */
export interface Beginning {
  /** Servers that are in the pool from the start are announced. */
  readonly initNotifies?: boolean;
  /** The orders that stand. */
  readonly orders?: ServerOrders | undefined;
  /** A predecessor goes on: nothing is said that was said before. */
  readonly known?: KnownPool | undefined;
}

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
  /** What a mail says of it, where somebody may want one. */
  readonly mail?: string;
}

/** What tells a real server from the others of its virtual server. */
export function serverKey({ address, port }: Pick<RealServer, "address" | "port">): string {
  return `${address} ${port}`;
}

/** Which of a virtual server's real servers has a key; -1 for none. */
function indexOf({ server }: Balanced, key: string): number {
  return server.real_servers.findIndex((one) => serverKey(one) === key);
}

/** A real server's state by its key. */
export function stateOf(balanced: Balanced, pool: Pool, key: string): ServerState | undefined {
  return pool.servers[indexOf(balanced, key)];
}

/** The weight of a server that is in the pool, as the kernel is to have it. */
export function weightOf(state: ServerState): number {
  const { share } = state;
  const weight = ownWeight(state);
  return share === undefined || weight === 0 ? weight : Math.max(1, Math.floor(weight * share));
}

/** What a server counts with once it has started. */
function ownWeight({ weight, order }: ServerState): number {
  if (order?.type === "drain") return 0;
  return order?.type === "weight" ? order.weight : weight;
}

/** Whether a server's checks have nothing against it. */
export function isUp(state: ServerState | undefined): boolean {
  return state?.failing.length === 0;
}

/** Whether a server belongs to the pool: it is up and not in maintenance. */
export function isServing(state: ServerState | undefined): boolean {
  return isUp(state) && state?.order?.type !== "maintenance";
}

/** Whether new connections may go to a server, whatever becomes of its pool. */
export function isTaking(state: ServerState | undefined): boolean {
  return state !== undefined && isServing(state) && ownWeight(state) > 0;
}

/** Whether the sorry server stands in for all others. */
export function isSorry({ sorry_server }: VirtualServer, { hasQuorum }: Pool): boolean {
  return !hasQuorum && sorry_server !== undefined;
}

/** A pool at its start: every server is up unless a check has to say so first. */
export function start(balanced: Balanced, beginning: Beginning = {}): Step {
  const { server } = balanced;
  const { known, orders } = beginning;
  const news: News[] = [];
  const servers = server.real_servers.map((real) => {
    const state = known?.servers[serverKey(real)] ?? initial(real);
    return obeying(balanced, real, state, orders);
  });
  for (const [i, real] of known === undefined ? server.real_servers.entries() : []) {
    const state = servers[i]!;
    if (state.order !== undefined) news.push(orderNews(balanced, real, state.order));
    if (beginning.initNotifies && isServing(state)) news.push(told(balanced, real, true));
  }
  if (known !== undefined) {
    return { pool: weigh(balanced, { hasQuorum: known.hasQuorum, servers }, news), news };
  }
  const pool: Pool = { hasQuorum: false, servers };
  const gained = weigh(balanced, pool, news, true);
  if (gained.hasQuorum || server.sorry_server === undefined) return { pool: gained, news };
  const { quorum, hysteresis } = server;
  const line = `${quorum}+${hysteresis}=${quorum + hysteresis} > ${sumOf(pool)}`;
  news.push(log("notice", `Starting with quorum down ${line} for VS ${balanced.name}`));
  const mail = quorumMail("Starting with quorum down", server, quorum + hysteresis, 0);
  news.push(...sorryNews(balanced, server.sorry_server, true), quorumNews(server, false, mail));
  return { pool, news };
}

function initial(real: RealServer): ServerState {
  const failing = real.checks.flatMap((check, i) => "alpha" in check && check.alpha ? [i] : []);
  if (failing.length === 0) return { failing: NONE, weight: real.weight };
  return { failing, weight: real.weight, isUnheard: true };
}

const NONE: readonly number[] = [];

/** A server that is new, with the order that stands for it. */
function obeying(
  balanced: Balanced,
  real: RealServer,
  state: ServerState,
  orders: ServerOrders | undefined,
): ServerState {
  const order = orders?.get(nameOf(balanced, real));
  return order === undefined ? state : under(order, state);
}

function under(order: Order | undefined, state: ServerState): ServerState {
  const { order: _, wasUp: __, ...rest } = state;
  if (order === undefined) return rest;
  return { ...rest, order, ...(order.type === "maintenance" && isUp(rest) ? { wasUp: true } : {}) };
}

/** A check has reported. */
export function hear(balanced: Balanced, pool: Pool, finding: Finding): Step {
  const index = indexOf(balanced, finding.server);
  const real = balanced.server.real_servers[index];
  const before = pool.servers[index];
  if (real === undefined || before === undefined) return { pool, news: [] };
  const others = before.failing.filter((check) => check !== finding.check);
  const failing = !finding.isUp ? [...others, finding.check] : others.length > 0 ? others : NONE;
  const { share, isUnheard, ...rest } = before;
  const step = replace(balanced, pool, index, {
    ...rest,
    failing,
    weight: finding.weight ?? before.weight,
    // A server that comes up starts anew.
    ...(share === undefined || !isUp(before) ? {} : { share }),
    ...(isUnheard === true && failing.length > 0 && finding.isUp ? { isUnheard } : {}),
  });
  const isNoNews = isUnheard !== true || finding.isUp || before.order?.type === "maintenance";
  if (isNoNews) return step;
  return { ...step, news: [...step.news, told(balanced, real, false)] };
}

/** An operator wants something else of a server; undefined: nothing any more. */
export function give(
  balanced: Balanced,
  pool: Pool,
  server: string,
  order: Order | undefined,
): Step {
  const index = indexOf(balanced, server);
  const real = balanced.server.real_servers[index];
  const before = pool.servers[index];
  if (real === undefined || before === undefined || isAlike(before.order, order)) {
    return { pool, news: [] };
  }
  const isFailing = !isUp(before);
  const first = order === undefined
    ? liftNews(balanced, real, before.order!, isFailing)
    : orderNews(balanced, real, order);
  const wasAway = before.order?.type === "maintenance";
  // What checks have found out meanwhile is told now, as if it had just happened.
  const isMissed = wasAway && isFailing === (before.wasUp === true);
  const step = replace(balanced, pool, index, under(order, before));
  const news = step.news.map((one) =>
    one.type === "real-server" && !isMissed ? { ...one, isOrdered: true as const } : one
  );
  if (isMissed && isFailing) news.push(told(balanced, real, false));
  return { pool: step.pool, news: [first, ...news] };
}

/** A server that is slowly starting has reached a share of its weight; undefined: all of it. */
export function ramp(
  balanced: Balanced,
  pool: Pool,
  server: string,
  share: number | undefined,
): Pool {
  const index = indexOf(balanced, server);
  const before = pool.servers[index];
  if (before === undefined) return pool;
  const { share: _, ...rest } = before;
  const after = share === undefined ? rest : { ...rest, share };
  return { ...pool, servers: pool.servers.with(index, after) };
}

function replace(balanced: Balanced, pool: Pool, index: number, after: ServerState): Step {
  const real = balanced.server.real_servers[index]!;
  const before = pool.servers[index]!;
  const news: News[] = [];
  pushWeight(balanced, real, before, after, news);
  if (isServing(before) !== isServing(after)) {
    const verb = after.order?.type === "maintenance" ? "Removing" : undefined;
    news.push(...aliveNews(balanced, real, isServing(after), verb));
  }
  const next = { ...pool, servers: pool.servers.with(index, after) };
  return { pool: weigh(balanced, next, news), news };
}

function pushWeight(
  balanced: Balanced,
  real: RealServer,
  before: ServerState,
  after: ServerState,
  news: News[],
): void {
  const [was, is] = [ownWeight(before), ownWeight(after)];
  if (was !== is) news.push(weightNews(balanced, real, { was, is, isActive: isServing(after) }));
}

/** The configuration of a virtual server has changed: what is the same goes on as it is. */
export function reconfigure(
  before: Balanced,
  after: Balanced,
  pool: Pool,
  orders?: ServerOrders,
): Step {
  const news: News[] = [];
  const old = new Map(
    before.server.real_servers.map((
      real,
      i,
    ) => [serverKey(real), { real, state: pool.servers[i]! }]),
  );
  const servers = after.server.real_servers.map((real) => {
    const key = serverKey(real);
    const known = old.get(key);
    if (known === undefined) return obeying(after, real, initial(real), orders);
    old.delete(key);
    const next = carryOver(known.real, real, known.state);
    pushWeight(after, real, known.state, next, news);
    return next;
  });
  for (const { real, state } of old.values()) {
    news.push(log("info", `service ${nameOf(before, real)} no longer exist`));
    if (isServing(state)) news.push(...aliveNews(before, real, false, "Removing"));
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
  for (const [i, real] of server.real_servers.entries()) {
    const state = pool.servers[i];
    const isInhibited = !isUp(state) && real.inhibit_on_failure;
    const verb = isReload ? "Removing" : "Shutting down";
    const what = `${isInhibited ? "(inhibited) " : ""}service ${nameOf(balanced, real)}`;
    news.push(log("info", `${verb} ${what} from VS ${name}`));
    if (isTold && isServing(state)) news.push(told(balanced, real, false));
  }
  if (isTold) news.push(quorumNews(server, false, "The service is removed"));
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
    const what = isStart ? "Starting with quorum up" : "Gained quorum";
    news.push(quorumNews(server, true, quorumMail(what, server, quorum + hysteresis, sum)));
    return { ...pool, hasQuorum: true };
  }
  if (pool.hasQuorum && (sum === 0 || sum < quorum - hysteresis)) {
    const line = `${quorum}-${hysteresis}=${quorum - hysteresis} > ${sum}`;
    news.push(log("notice", `Lost quorum ${line} for VS ${name}`));
    if (sorry !== undefined) news.push(...sorryNews(balanced, sorry, true));
    const mail = quorumMail("Lost quorum", server, quorum - hysteresis, sum);
    news.push(quorumNews(server, false, mail));
    return { ...pool, hasQuorum: false };
  }
  return pool;
}

/** The weight of all servers that belong to the pool. */
export function sumOf({ servers }: Pool): number {
  let sum = 0;
  for (const state of servers) if (isServing(state)) sum += ownWeight(state);
  return sum;
}
