/**
 * A host with many instances for benches: its links and configuration, its memory, and when each of its
 * instances speaks on the wire.
 */

import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instance, type InstanceSettings } from "../test/support/configs.ts";
import { type Network, WIRE } from "../test/support/namespaces.ts";
import { memoryOf } from "./observe.ts";

/** Over so many links the instances of a host are spread; a link has 255 VRIDs. */
export const LINKS = 4;

/** eth1 to eth3 of host `a` beside eth0, each with a wire of its own and nobody at its other end. */
export function addLinks(network: Network): void {
  network.run(WIRE, ..."ip link set to-a nomaster".split(" "));
  for (let i = 1; i < LINKS; i++) {
    const ends = `to-a${i} type veth peer name eth${i} netns ${network.netns("a")}`;
    network.run(WIRE, ..."ip link add".split(" "), ...ends.split(" "));
    network.run(WIRE, ..."ip link set".split(" "), `to-a${i}`, "up");
    network.run("a", ..."ip address add".split(" "), `10.${i}.0.1/24`, "dev", `eth${i}`);
    network.run("a", ..."ip link set".split(" "), `eth${i}`, "up");
  }
}

/** Instance k is on link k mod 4, with an address of its own; VRIDs count up on each link. */
export function manyInstances(count: number, settings: InstanceSettings = {}): string {
  return Array.from({ length: count }, (_, k) => {
    const [link, vrid] = [k % LINKS, Math.floor(k / LINKS) + 1];
    return instance({
      name: `V${k}`,
      state: "MASTER",
      interface: `eth${link}`,
      vrid,
      priority: 100,
      interval: 1,
      addresses: [`10.${200 + link}.0.${vrid}/32`],
      ...settings,
    });
  }).join("");
}

/** Waits until `count` virtual addresses are there, which is when every instance is MASTER. */
export async function allUp(network: Network, count: number): Promise<void> {
  const script = "ip -4 -o address show | grep -c '/32 ' || true";
  const limit = performance.now() + 60_000;
  for (;;) {
    const up = Number(network.run("a", "sh", "-c", script));
    if (up === count) return;
    if (performance.now() > limit) throw new Error(`${up} of ${count} addresses after a minute`);
    await Bun.sleep(100);
  }
}

/** PSS of a process and its descendants, in KiB. */
export function pssOf(pid: number): number {
  return memoryOf(pid).reduce((sum, { pss }) => sum + pss, 0);
}

/** What host a has sent on all its links so far: nothing but adverts when it has settled. */
export function packetsSent(network: Network): number {
  const lines = network.run("a", "cat", "/proc/net/dev").matchAll(/eth\d:\s*([\d ]+)/g);
  return [...lines].reduce((sum, [, words]) => sum + Number(words!.split(/ +/)[9]), 0);
}

/** What was heard of a host's instances. */
export interface Heard {
  /** How far each instance's intervals are from what they should be, in ms. */
  readonly deviationsMs: readonly number[];
  /** Adverts that were due and did not come. */
  readonly missed: number;
  /** Packets that the capture lost: everything else is doubtful then. */
  readonly dropped: number;
}

/** Listens on all wires for `ms` to instances that advertise every `intervalUs`. */
export async function listen(network: Network, ms: number, intervalUs: number): Promise<Heard> {
  const { adverts, dropped } = await capture(network, ms);
  const lastUs = new Map<string, number>();
  const deviationsMs: number[] = [];
  let missed = 0;
  for (const { key, atUs } of adverts) {
    const before = lastUs.get(key);
    lastUs.set(key, atUs);
    if (before === undefined) continue;
    const lostHere = Math.max(0, Math.round((atUs - before) / intervalUs) - 1);
    missed += lostHere;
    if (lostHere === 0) deviationsMs.push(Math.abs(atUs - before - intervalUs) / 1000);
  }
  return { deviationsMs, missed, dropped };
}

/** When an instance has spoken. */
interface Spoken {
  /** Its link and VRID. */
  readonly key: string;
  readonly atUs: number;
}

/**
 * Adverts on all wires. They may come in bursts of as many as there are instances, so tcpdump gets a
 * large ring of small slots, writes to a file and is read when it has ended.
 */
async function capture(
  network: Network,
  ms: number,
): Promise<{ adverts: Spoken[]; dropped: number }> {
  const file = join(tmpdir(), `upk${process.pid}-many.pcap`);
  const words = "tcpdump -i any -y LINUX_SLL2 -s 128 -B 16384 -Z root -w".split(" ");
  const child = Bun.spawn([...network.enter(WIRE), ...words, file, "inbound and ip proto 112"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  await Bun.sleep(ms + 500);
  child.kill("SIGTERM");
  const said = await child.stderr.text();
  const dropped = /(\d+) packets dropped by kernel/.exec(said)?.[1];
  if (dropped === undefined) throw new Error(`no tcpdump: ${said}`);
  return { adverts: spokenIn(readFileSync(file)), dropped: Number(dropped) };
}

/**
 * pcap: a header of 24 bytes, then seconds, microseconds, length, length, packet; little-endian. A
 * packet is a header of 20 bytes (sll2(7): the link's index at 4), IPv4, and VRRP with the VRID at 1.
 */
function spokenIn(pcap: Uint8Array): Spoken[] {
  const view = new DataView(pcap.buffer, pcap.byteOffset, pcap.length);
  const spoken: Spoken[] = [];
  for (let at = 24; at + 16 <= pcap.length; at += 16 + view.getUint32(at + 8, true)) {
    const atUs = view.getUint32(at, true) * 1e6 + view.getUint32(at + 4, true);
    const ip = at + 16 + 20;
    const vrid = view.getUint8(ip + (view.getUint8(ip) & 15) * 4 + 1);
    spoken.push({ key: `${view.getUint32(at + 20, false)} ${vrid}`, atUs });
  }
  return spoken;
}
