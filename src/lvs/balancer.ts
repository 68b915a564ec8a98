/**
 * The virtual servers of the role and the kernel's table side by side. An event changes a pool and marks the
 * services it is about; the end of the turn compares them with what is in the kernel and performs the
 * difference; only then is told what has happened.
 */

import type { Alarm, Loop } from "../loop.ts";
import type { Service } from "../netlink/ipvs.ts";
import type { IpvsTimeouts } from "../netlink/ipvs_control.ts";
import type { FromCheckers } from "../parent/checkers_channel.ts";
import type { Balanced, BalancerGlobals, LvsChange } from "./changes.ts";
import type { Marking } from "./marking_perform.ts";
import { familiesOf, rangesOf } from "./marks.ts";
import type { Mirror } from "./mirror_perform.ts";
import { nameOf, type News } from "./news.ts";
import { byService, type ServerOrders, type StandingOrder } from "./orders.ts";
import {
  type Finding,
  give,
  hear,
  isTaking,
  isUp,
  type Pool,
  ramp,
  reconfigure,
  serverKey,
  type ServerState,
  start,
  stateOf,
  stop,
} from "./quorum.ts";
import { type Owner, servicesOf, WantedEntry } from "./services.ts";
import { wantedDaemons } from "./sync_daemon.ts";
import { type Entry, serviceId } from "./table.ts";

const SECOND_US = 1_000_000;
/** In so many steps a slowly starting server gets its weight. */
const RAMP_STEPS = 20;

/** A virtual server that runs. */
interface Running extends Owner {
  /** Its services by {@link serviceId}. */
  readonly ids: readonly string[];
}

/** A virtual server's share of a service. */
interface Share {
  readonly key: string;
  /** As this virtual server has it set. */
  readonly service: Service;
}

/** What a balancer works with. */
export interface BalancerParts {
  readonly loop: Pick<Loop, "schedule">;
  readonly mirror: Mirror;
  /** What marks packets; asked for when some are to be. */
  openMarking?(): Pick<Marking, "configure" | "canMark" | "mark" | "stop">;
  say(message: FromCheckers): void;
}

function inSeconds(
  { tcp, tcpfin, udp }: NonNullable<BalancerGlobals["timeouts"]>,
): Partial<IpvsTimeouts> {
  return {
    ...(tcp === undefined ? {} : { tcp: tcp / SECOND_US }),
    ...(tcpfin === undefined ? {} : { tcpFin: tcpfin / SECOND_US }),
    ...(udp === undefined ? {} : { udp: udp / SECOND_US }),
  };
}

/** All virtual servers. */
export class Balancer {
  readonly #parts: BalancerParts;
  readonly #running = new Map<string, Running>();
  /** The virtual servers that a service belongs to: nearly always one. */
  readonly #owners = new Map<string, readonly Share[]>();
  /** The services that the next {@link Balancer.flush} compares. */
  #dirty = new Set<string>();
  readonly #news: FromCheckers[] = [];
  readonly #instances = new Map<string, string>();
  readonly #ramps = new Map<string, Alarm>();
  /** What operators want, by the keys of services. */
  #orders: ReadonlyMap<string, ServerOrders> = new Map();
  #globals: BalancerGlobals | undefined;
  #marking: ReturnType<NonNullable<BalancerParts["openMarking"]>> | undefined;
  /** Something that is marked has come, gone or changed. */
  #hasNewMarks = false;

  constructor(parts: BalancerParts) {
    this.#parts = parts;
  }

  /** What is configured, by key; a view. */
  get servers(): ReadonlyMap<string, { readonly balanced: Balanced; readonly pool: Pool }> {
    return this.#running;
  }

  /** Services that somebody else has left: those that nobody wants are to go. */
  adopt(ids: readonly string[]): void {
    for (const id of ids) this.#dirty.add(id);
  }

  /** Makes the configuration different. */
  configure(changes: readonly LvsChange[]): void {
    for (const change of changes) {
      switch (change.type) {
        case "globals":
          this.#setGlobals(change.globals);
          break;
        case "remove":
          this.#remove(change.key);
          break;
        case "add": {
          const { key, balanced, known } = change;
          const { pool, news } = start(balanced, {
            initNotifies: this.#globals?.initNotifies ?? false,
            orders: this.#orders.get(key),
            known,
          });
          this.#put(key, balanced, pool, news);
          break;
        }
        case "change":
          this.#change(change.key, change.balanced);
          break;
      }
    }
  }

  #setGlobals(globals: BalancerGlobals): void {
    const { mirror } = this.#parts;
    if (globals.flush) mirror.flush();
    mirror.setTimeouts(globals.timeouts && inSeconds(globals.timeouts));
    this.#globals = globals;
    this.#setDaemons();
    if (globals.marking !== undefined) this.#marking ??= this.#parts.openMarking?.();
    this.#marking?.configure(globals.marking);
    this.#hasNewMarks = this.#marking !== undefined;
  }

  #setDaemons(): void {
    const configured = this.#globals?.syncDaemon;
    const state = this.#instances.get(configured?.instance ?? "");
    // Until it is known what the instance is, what runs may be right.
    if (configured?.instance !== undefined && state === undefined) return;
    this.#parts.mirror.setDaemons(wantedDaemons(configured, state));
  }

  #change(key: string, balanced: Balanced): void {
    const before = this.#running.get(key);
    if (before === undefined) return;
    const orders = this.#orders.get(key);
    const { pool, news } = reconfigure(before.balanced, balanced, before.pool, orders);
    this.#disown(key, before);
    this.#put(key, balanced, pool, news);
    const [old, next] = [before.balanced, balanced].map(({ server }) => server.real_servers);
    for (const server of new Set([...old!, ...next!].map(serverKey))) {
      this.#remember(key, server, before, { balanced, pool });
    }
  }

  #put(key: string, wanted: Balanced, pool: Pool, news: readonly News[]): void {
    const balanced = this.#asPossible(wanted);
    if (balanced.mark !== undefined) this.#hasNewMarks = true;
    const services = new Map(servicesOf(balanced).map((one) => [serviceId(one), one]));
    this.#running.set(key, { balanced, pool, ids: services.keys().toArray() });
    for (const [id, service] of services) {
      this.#owners.set(id, [...this.#owners.get(id) ?? [], { key, service }]);
      this.#dirty.add(id);
    }
    this.#publish(key, balanced, news);
  }

  /** Where the kernel cannot mark packets, every address of a group is a service. */
  #asPossible(balanced: Balanced): Balanced {
    const { mark, entries } = balanced;
    if (mark === undefined || this.#marking?.canMark(familiesOf(entries)) === true) return balanced;
    return { ...balanced, mark: undefined };
  }

  #remove(key: string): void {
    const running = this.#running.get(key);
    if (running === undefined) return;
    this.#disown(key, running);
    this.#running.delete(key);
    this.#publish(key, running.balanced, stop(running.balanced, running.pool, true));
  }

  #disown(key: string, { ids, balanced }: Running): void {
    if (balanced.mark !== undefined) this.#hasNewMarks = true;
    for (const id of ids) {
      this.#owners.set(id, (this.#owners.get(id) ?? []).filter((share) => share.key !== key));
      this.#dirty.add(id);
    }
  }

  /** A check of a real server has reported. */
  hear(key: string, finding: Finding, now: number): void {
    const running = this.#running.get(key);
    if (running === undefined) return;
    const { server } = finding;
    const { pool, news } = hear(running.balanced, running.pool, finding);
    this.#follow(key, running, server, pool, news, isUp, now);
    this.#remember(key, server, running, { ...running, pool });
    const state = stateOf(running.balanced, pool, server);
    this.#publishCheck(running.balanced, finding, state, news);
  }

  /** What operators want of servers from now on: these orders and no others. */
  obey(orders: readonly StandingOrder[], now: number): void {
    const before = this.#orders;
    this.#orders = byService(orders);
    for (const [key, { balanced }] of this.#running) {
      const wanted = this.#orders.get(key);
      if (wanted === undefined && !before.has(key)) continue;
      for (const real of balanced.server.real_servers) {
        const running = this.#running.get(key)!;
        const server = serverKey(real);
        const order = wanted?.get(nameOf(balanced, real));
        const { pool, news } = give(balanced, running.pool, server, order);
        this.#follow(key, running, server, pool, news, isTaking, now);
      }
    }
  }

  /** A server is otherwise than before; what `starts` it, now true and before not, starts it slowly. */
  #follow(
    key: string,
    running: Running,
    server: string,
    pool: Pool,
    news: readonly News[],
    starts: (state: ServerState | undefined) => boolean,
    now: number,
  ): void {
    this.#update(key, running, pool);
    this.#publish(key, running.balanced, news);
    const { balanced } = running;
    const isBack = starts(stateOf(balanced, pool, server)) &&
      !starts(stateOf(balanced, running.pool, server));
    if (isBack) this.#startSlowly(key, balanced, server, now);
  }

  /** Lets the parent know what a successor will have to know. */
  #remember(key: string, server: string, before: Owner, after: Owner): void {
    const was = stateOf(before.balanced, before.pool, server);
    const is = stateOf(after.balanced, after.pool, server);
    if (was === is || (was !== undefined && is !== undefined && isSameHealth(was, is))) return;
    const { failing, weight } = is ?? {};
    const health = failing === undefined || weight === undefined
      ? {}
      : { health: { failing, weight } };
    this.#news.push({ type: "health", key, server, ...health });
  }

  /** A check has changed its mind; its server may be what it was, by another one, or in maintenance. */
  #publishCheck(
    balanced: Balanced,
    { server, mail }: Finding,
    state: ServerState | undefined,
    news: readonly News[],
  ): void {
    const real = balanced.server.real_servers.find((one) => serverKey(one) === server);
    if (mail === undefined || real === undefined || state?.order?.type === "maintenance") return;
    this.#news.push({
      type: "check",
      service: balanced.name,
      server: nameOf(balanced, real),
      isUp: isUp(state),
      isChange: news.some(({ type }) => type === "real-server"),
      mail,
    });
  }

  #update(key: string, running: Running, pool: Pool): void {
    if (pool === running.pool) return;
    this.#running.set(key, { ...running, pool });
    for (const id of running.ids) this.#dirty.add(id);
  }

  /** Gives a server that has come back its weight bit by bit. */
  #startSlowly(key: string, { server }: Balanced, name: string, now: number): void {
    const slowUs = server.real_servers.find((one) => serverKey(one) === name)?.slow_start ?? 0;
    if (slowUs === 0) return;
    const { loop } = this.#parts;
    const id = `${key} ${name}`;
    const former = this.#ramps.get(id);
    if (former !== undefined) loop.schedule(former, Infinity);
    const alarm: Alarm = { dueAt: Infinity, heapIndex: -1, fire: (at) => step(at) };
    this.#ramps.set(id, alarm);
    const step = (at: number): void => {
      const running = this.#running.get(key);
      const share = Math.min(1, (at - now) / slowUs);
      if (running !== undefined) {
        const { balanced, pool } = running;
        this.#update(key, running, ramp(balanced, pool, name, share < 1 ? share : undefined));
      }
      if (share < 1 && running !== undefined) loop.schedule(alarm, at + slowUs / RAMP_STEPS);
      else this.#ramps.delete(id);
    };
    step(now);
  }

  /** A VRRP instance has changed its state. */
  hearInstance(instance: string, state: string): void {
    this.#instances.set(instance, state);
    if (this.#globals?.syncDaemon?.instance === instance) this.#setDaemons();
    for (const { balanced, ids } of this.#running.values()) {
      if (balanced.server.only_when_master !== instance) continue;
      for (const id of ids) this.#dirty.add(id);
    }
  }

  /** Performs what has changed, and then tells of it. */
  flush(): void {
    if (this.#dirty.size > 0) {
      const ids = this.#dirty;
      this.#dirty = new Set();
      const wanted = new Map<string, Entry>();
      for (const id of ids) {
        const entry = this.#wanted(id);
        if (entry !== undefined) wanted.set(id, entry);
      }
      this.#parts.mirror.reconcile(ids, wanted);
    }
    if (this.#hasNewMarks) this.#mark();
    for (const message of this.#news.splice(0)) this.#parts.say(message);
  }

  #mark(): void {
    this.#hasNewMarks = false;
    const ranges = [...this.#running.values()].flatMap(({ balanced }) => {
      const { server, entries, mark } = balanced;
      return mark === undefined ? [] : rangesOf(server, entries, mark);
    });
    this.#marking?.mark(ranges);
  }

  /** What the table is to hold for a service; of several owners the first one's settings count. */
  #wanted(id: string): Entry | undefined {
    const shares = (this.#owners.get(id) ?? []).filter(({ key }) => this.#mayExist(key));
    const first = shares[0];
    return first &&
      new WantedEntry(first.service, shares.map(({ key }) => this.#running.get(key)!));
  }

  #mayExist(key: string): boolean {
    const { only_when_master: instance } = this.#running.get(key)!.balanced.server;
    return instance === undefined || this.#instances.get(instance) === "MASTER";
  }

  /** The end: the table is emptied of what is ours, unless it is to stay. */
  shutdown(keepServices: boolean): void {
    const { mirror } = this.#parts;
    for (const [key, { balanced, pool }] of this.#running) {
      this.#publish(key, balanced, stop(balanced, pool, false));
    }
    if (!keepServices) {
      if (this.#globals?.flushOnStop === "all") mirror.flush();
      for (const id of this.#owners.keys()) this.#dirty.add(id);
      this.#owners.clear();
    } else this.#dirty.clear();
    this.#running.clear();
    this.#hasNewMarks = this.#marking !== undefined && !keepServices;
    if (this.#globals !== undefined) {
      mirror.setDaemons([]);
      mirror.setTimeouts(undefined);
    }
    this.flush();
  }

  #publish(key: string, { name }: Balanced, news: readonly News[]): void {
    for (const one of news) {
      if (one.type === "log") this.#news.push(one);
      else if (one.type === "quorum") this.#news.push({ ...one, service: name, key });
      else this.#news.push({ ...one, service: name });
    }
  }
}

function isSameHealth(a: ServerState, b: ServerState): boolean {
  return a.weight === b.weight && a.failing.length === b.failing.length &&
    a.failing.every((check) => b.failing.includes(check));
}
