/**
 * What is believed of links beyond what the kernel tells of them: links that are asked every second
 * (`linkbeat_*`), links whose changes count after a while (`interface_up_down_delays`). Loaded when something of
 * the kind is configured.
 */

import { askLink, LINKBEAT_TYPES, type LinkbeatType } from "../../ffi/linkbeat.ts";
import type { VrrpGlobals } from "../config/vrrp.ts";
import type { Link } from "../netlink/link.ts";
import type { Alarm, Loop } from "../loop.ts";
import { LinkDelays } from "./link_delays.ts";
import type { LinkTable } from "./links.ts";

const POLL_US = 1_000_000;

/** The links that are looked after. */
export class LinkWatch {
  readonly #loop: Loop;
  readonly #links: LinkTable;
  readonly #changed: () => void;
  readonly #delays = new LinkDelays();
  /** How each polled link is asked; undefined: whatever works first. */
  #polled = new Map<string, LinkbeatType | undefined>();
  readonly #beats = new Map<string, boolean>();
  readonly #poll: Alarm;
  readonly #due: Alarm;

  /** `changed` is called when links are to be looked at anew. */
  constructor(loop: Loop, links: LinkTable, changed: () => void) {
    this.#loop = loop;
    this.#links = links;
    this.#changed = changed;
    this.#poll = { dueAt: Infinity, heapIndex: -1, fire: (now) => this.#ask(now) };
    this.#due = { dueAt: Infinity, heapIndex: -1, fire: () => changed() };
    links.opinion = (link) => this.#judge(link);
  }

  /** Looks after what a configuration names. */
  configure({ up_down_delays = [], linkbeat = [] }: VrrpGlobals, now: number): void {
    this.#delays.configure(up_down_delays);
    this.#polled = new Map(linkbeat.map((one) => [one.interface, one.type]));
    this.#beats.clear();
    if (this.#polled.size > 0) this.#ask(now);
    else this.#loop.schedule(this.#poll, Infinity);
  }

  /** Links were looked at: when are they to be looked at again. */
  looked(): void {
    this.#loop.schedule(this.#due, this.#delays.dueAt);
  }

  #judge(link: Link): boolean {
    const running = this.#beats.get(link.name) ?? link.running;
    return this.#delays.judge(link.name, link.up && running, this.#loop.now);
  }

  #ask(now: number): void {
    let isNews = false;
    for (const [name, type] of this.#polled) {
      if (this.#links.byName(name) === undefined) continue;
      const beat = type === undefined ? this.#askAnyhow(name) : askLink(name, type);
      if (beat === undefined || beat === this.#beats.get(name)) continue;
      this.#beats.set(name, beat);
      isNews = true;
    }
    if (isNews) this.#changed();
    this.#loop.schedule(this.#poll, now + POLL_US);
  }

  /** The first way that works is the one from then on. */
  #askAnyhow(name: string): boolean | undefined {
    for (const type of LINKBEAT_TYPES) {
      const beat = askLink(name, type);
      if (beat === undefined) continue;
      this.#polled.set(name, type);
      return beat;
    }
    return undefined;
  }
}
