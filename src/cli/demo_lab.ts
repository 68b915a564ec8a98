/**
 * The demo's stage: a network namespace per router and one for the client, where every wire is a
 * bridge and each router's link one of its ports (veth).
 *
 * A namespace belongs to a thread, and what the main thread spawns or opens is born where it is: enter,
 * act, return. Nothing is pinned to a path, so all of it vanishes with the last descriptor and the
 * last process, however they end.
 */

import { SIGKILL } from "../../ffi/constants.ts";
import { Netlink } from "../../ffi/netlink.ts";
import {
  enterNamespaceOf,
  newNetworkNamespace,
  openOwnNamespace,
  sendSignal,
} from "../../ffi/process.ts";
import { parseAddress } from "../lib/address.ts";
import { encodeNewAddress } from "../netlink/address.ts";
import {
  decodeLink,
  encodeDeleteLink,
  encodeGetLink,
  encodeNewLink,
  encodeSetLink,
} from "../netlink/link.ts";
import type { ClientTask } from "./demo_ping.ts";
import type { Plan, RouterPlan } from "./demo_plan.ts";

/** A child whose output is read by lines. */
export type Child = Bun.Subprocess<"pipe", "pipe", "pipe">;

/** A network namespace with a socket to configure it. */
interface Namespace {
  readonly fd: number;
  readonly netlink: Netlink;
}

const LOOPBACK_INDEX = 1;

/** Namespaces, wires and the processes in them. Needs CAP_NET_ADMIN and CAP_SYS_ADMIN. */
export class Lab {
  readonly #plan: Plan;
  readonly #home = openOwnNamespace();
  readonly #client: Namespace;
  readonly #routers: ReadonlyMap<RouterPlan, Namespace>;
  readonly #wires: number[] = [];
  readonly #groups = new Set<number>();
  #guard: Child | undefined;

  /** Builds the wires and the client; the routers have no links yet. Throws SysError. */
  constructor(plan: Plan) {
    this.#plan = plan;
    this.#client = this.#newNamespace();
    this.#routers = new Map(
      [plan.preferred, plan.standby].map((router) => [router, this.#newNamespace()]),
    );
    const { netlink } = this.#client;
    for (let wire = 0; wire < plan.wires; wire++) {
      const name = `wire${wire}`;
      // Without an address of its own a bridge takes that of a port, and changes as ports come and go.
      const address = Uint8Array.of(2, 0, 0, 0, 0, wire);
      perform(
        netlink,
        encodeNewLink({ kind: "bridge", name, address, up: true }),
        `making ${name}`,
      );
      this.#wires.push(indexOf(netlink, name));
    }
    addAddress(netlink, this.#wires[plan.client.wire]!, plan.client.address);
  }

  /** Plugs a router in, as new: its links get the addresses of the plan. Throws SysError. */
  plugIn(router: RouterPlan): void {
    const { fd, netlink } = this.#routers.get(router)!;
    for (const [wire, { name, addresses }] of router.links.entries()) {
      perform(
        this.#client.netlink,
        encodeNewLink({
          kind: "veth",
          name: portName(router, wire),
          master: this.#wires[wire]!,
          up: true,
          peer: { name, netnsFd: fd },
        }),
        `making link ${name} of router ${router.name}`,
      );
      const index = indexOf(netlink, name);
      perform(netlink, encodeSetLink({ index, up: true }), `switching ${name} on`);
      for (const address of addresses) addAddress(netlink, index, address);
    }
  }

  /** Cuts a router off at once, as when its power fails. */
  cutOff(router: RouterPlan): void {
    const { netlink } = this.#client;
    for (const wire of router.links.keys()) {
      const index = indexOf(netlink, portName(router, wire));
      perform(netlink, encodeSetLink({ index, up: false }), "cutting a link");
    }
  }

  /** Removes the links of a router, and with them every address they hold. */
  unplug(router: RouterPlan): void {
    const { netlink } = this.#client;
    for (const wire of router.links.keys()) {
      const index = indexOf(netlink, portName(router, wire));
      perform(netlink, encodeDeleteLink(index), "removing a link");
    }
  }

  /** Starts this program as the daemon of a router, with the daemon's own options. */
  startDaemon(router: RouterPlan, options: readonly string[]): Child {
    const { fd } = this.#routers.get(router)!;
    const child = this.#spawn(fd, options);
    this.#groups.add(child.pid);
    child.exited.then(() => {
      sendSignal(-child.pid, SIGKILL); // whoever of the group has outlived its leader
      this.#groups.delete(child.pid);
      this.#tellGuard();
    });
    this.#tellGuard();
    return child;
  }

  /** Starts the client, which also guards the routers against the sudden end of this process. */
  startClient(everyUs: number): Child {
    const { vip, group, preferred } = this.#plan;
    const vrid = preferred.instance.virtual_router_id;
    const adverts = group === undefined ? {} : { adverts: { group, index: this.#wires[0]!, vrid } };
    const task: ClientTask = { vip, everyUs, ...adverts };
    this.#guard = this.#spawn(this.#client.fd, ["demo-ping", JSON.stringify(task)]);
    this.#tellGuard();
    return this.#guard;
  }

  /** Kills every process started here, with its whole group. */
  killAll(): void {
    this.#guard?.kill(SIGKILL);
    for (const group of this.#groups) sendSignal(-group, SIGKILL);
  }

  #newNamespace(): Namespace {
    try {
      const fd = newNetworkNamespace();
      const netlink = new Netlink();
      perform(netlink, encodeSetLink({ index: LOOPBACK_INDEX, up: true }), "switching lo on");
      return { fd, netlink };
    } finally {
      enterNamespaceOf(this.#home);
    }
  }

  /** This program again in a namespace, in a process group of its own: a Ctrl-C is not for it. */
  #spawn(namespace: number, words: readonly string[]): Child {
    enterNamespaceOf(namespace);
    try {
      return Bun.spawn({
        cmd: ["/proc/self/exe", ...words],
        argv0: "upkeep",
        detached: true,
        stdin: "pipe",
        stdout: "pipe",
        stderr: "pipe",
      });
    } finally {
      enterNamespaceOf(this.#home);
    }
  }

  #tellGuard(): void {
    if (this.#guard === undefined || this.#guard.exitCode !== null) return;
    this.#guard.stdin.write(`${JSON.stringify([...this.#groups])}\n`);
    this.#guard.stdin.flush();
  }
}

/** The bridge's end of a router's link. */
function portName({ name }: RouterPlan, wire: number): string {
  return `${name}${wire}`;
}

function perform(netlink: Netlink, bytes: Uint8Array, doing: string): void {
  const [refusal] = netlink.perform([{ bytes, doing }]);
  if (refusal !== undefined) throw refusal;
}

function indexOf(netlink: Netlink, name: string): number {
  let index = 0;
  netlink.dump(encodeGetLink(name), `finding link ${name}`, ({ payload }) => {
    index = decodeLink(payload)?.index ?? index;
  });
  return index;
}

function addAddress(netlink: Netlink, index: number, text: string): void {
  const address = parseAddress(text)!;
  perform(netlink, encodeNewAddress({ index, address, prefixLength: 24 }), `adding ${text}`);
}
