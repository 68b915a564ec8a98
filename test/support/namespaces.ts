/**
 * A small network for tests: hosts in network namespaces of their own, joined by one bridge in yet
 * another. Every host has the link `eth0` with 10.0.0.1, 10.0.0.2 … in the order of their names; its
 * other end is `to-NAME`, a port of the bridge `br0`, where all that crosses the wire can be captured.
 *
 * Namespaces are named after this process and a number, so runs side by side do not meet. They vanish
 * with {@link Network} (`using`), at the latest when the run ends (see leftovers.ts), or when the next one starts.
 */

import { existsSync, readdirSync } from "node:fs";

/** The name of the place that holds the bridge, to be used like a host's. */
export const WIRE = "wire";

/** Where ip-netns(8) keeps them. */
const FOLDER = "/run/netns";

/** What the names of the bridges' ports begin with, first and second link. */
const PORTS = ["to", "to1"];

const live = new Set<Network>();
let count = 0;

// What a run that was killed could not remove.
for (const netns of existsSync(FOLDER) ? readdirSync(FOLDER) : []) {
  const pid = /^upk(\d+)n\d/.exec(netns)?.[1];
  if (pid !== undefined && !existsSync(`/proc/${pid}`)) remove(netns);
}

/** Removes the networks that are still there: what a test that threw too early left behind. */
export function removeNetworks(): void {
  for (const network of live) network[Symbol.dispose]();
}

/** What may differ between networks. */
export interface NetworkOptions {
  /** IPv6 on, without duplicate address detection; hosts also get fd00::1, fd00::2 … Off otherwise. */
  readonly ipv6?: boolean;
  /** Every host also has `eth1` with 10.1.0.1, 10.1.0.2 …, port `to1-NAME` of the bridge `br1`. */
  readonly hasSecondLink?: boolean;
}

/** Hosts on one wire. */
export class Network {
  readonly #names: ReadonlyMap<string, string>;

  /** Makes the hosts and their wire; names are short words (they name links too). Throws on failure. */
  constructor(names: readonly string[], options: NetworkOptions = {}) {
    const { ipv6 = false, hasSecondLink = false } = options;
    const prefix = `upk${process.pid}n${count++}`;
    this.#names = new Map([...names, WIRE].map((name) => [name, `${prefix}${name}`]));
    live.add(this);
    try {
      shell([...this.#names.values()].map((netns) => `ip netns add ${netns}`).join("\n"));
      for (const name of this.#names.keys()) {
        this.#shellIn(name, ipv6 ? "" : NO_IPV6, "ip link set lo up");
      }
      for (const [number, port] of PORTS.slice(0, hasSecondLink ? 2 : 1).entries()) {
        const bridge = `br${number}`;
        this.#shellIn(
          WIRE,
          `ip link add ${bridge} type bridge mcast_snooping 0`,
          `ip link set ${bridge} up`,
        );
        for (const [i, name] of names.entries()) {
          this.#plugIn(name, `${port}-${name}`, number, i + 1, ipv6);
        }
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** The name of a host's namespace, for `ip netns`. */
  netns(host: string): string {
    const netns = this.#names.get(host);
    if (netns === undefined) throw new Error(`there is no host ${host}`);
    return netns;
  }

  /** The words that run a command as a process of that host: it is executed, not forked. */
  enter(host: string): readonly string[] {
    return ["nsenter", `--net=${FOLDER}/${this.netns(host)}`, "--"];
  }

  /** Runs a command on a host and returns its standard output; throws when it fails. */
  run(host: string, ...words: readonly string[]): string {
    return run([...this.enter(host), ...words]);
  }

  /** The IP addresses of a host's link, as `10.0.0.1/24`, the kernel's link-local ones left out. */
  addresses(host: string, link = "eth0"): string[] {
    return [
      ...this.run(host, "ip", "-o", "address", "show", "dev", link)
        .matchAll(/inet6? (\S+?)(?: peer \S+)?(?: brd \S+)? scope (?!link)/g),
    ]
      .map(([, address]) => address!);
  }

  /** Removes everything. Processes still in a namespace are not killed. */
  [Symbol.dispose](): void {
    live.delete(this);
    for (const netns of this.#names.values()) {
      if (existsSync(`${FOLDER}/${netns}`)) remove(netns);
    }
  }

  #plugIn(name: string, port: string, link: number, number: number, ipv6: boolean): void {
    this.#shellIn(
      WIRE,
      `ip link add ${port} type veth peer name eth${link} netns ${this.netns(name)}`,
      `ip link set ${port} master br${link} up`,
    );
    this.#shellIn(
      name,
      `ip address add 10.${link}.0.${number}/24 dev eth${link}`,
      `ip link set eth${link} up`,
      ipv6 ? `ip address add fd0${link}::${number}/64 dev eth${link} nodad` : "",
    );
  }

  #shellIn(name: string, ...lines: readonly string[]): void {
    shell(lines.join("\n"), this.enter(name));
  }
}

const NO_IPV6 =
  "cd /proc/sys/net/ipv6/conf && echo 1 >all/disable_ipv6 && echo 1 >default/disable_ipv6";

function shell(script: string, before: readonly string[] = []): void {
  run([...before, "sh", "-ec", script]);
}

function remove(netns: string): void {
  Bun.spawnSync(["ip", "netns", "delete", netns]);
}

function run(words: readonly string[]): string {
  const done = Bun.spawnSync([...words], { stdin: "ignore" });
  if (done.success) return done.stdout.toString();
  throw new Error(`${words.join(" ")}: ${done.stderr.toString().trim()}`);
}
