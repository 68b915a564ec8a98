/** Neighbours as a real kernel described them, and requests as iproute2 sent them. */

import { expect, test } from "bun:test";
import golden from "../../test/golden/netlink/neighbours.json";
import { sortedMessage } from "../../test/support/attributes.ts";
import { mutants } from "../../test/support/mutants.ts";
import { type Address, formatAddress, parseAddress } from "../lib/address.ts";
import { type Message, messages, NLMSG_DONE } from "./message.ts";
import {
  decodeNeighbour,
  encodeDeleteNeighbour,
  encodeDumpNeighbours,
  encodeNewNeighbour,
  encodeProbeNeighbour,
  NTF_ROUTER,
  NUD_DELAY,
  NUD_FAILED,
  NUD_INCOMPLETE,
  NUD_PERMANENT,
  NUD_PROBE,
  NUD_REACHABLE,
  NUD_STALE,
  RTM_NEWNEIGH,
} from "./neighbour.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(/[ :]/g, ""));
const ip = (text: string): Address => parseAddress(text)!;
const index = golden.links.x0;

const STATES: readonly [number, string][] = [
  [NUD_INCOMPLETE, "incomplete"],
  [NUD_REACHABLE, "reachable"],
  [NUD_STALE, "stale"],
  [NUD_DELAY, "delay"],
  [NUD_PROBE, "probe"],
  [NUD_FAILED, "failed"],
  [0x40, "noarp"],
  [NUD_PERMANENT, "permanent"],
];

/** The request that a command of the golden asks for. */
function ours(command: string): Uint8Array {
  const word = (after: string): string | undefined =>
    new RegExp(` ${after} (\\S+)`).exec(command)?.[1];
  const [, , verb, address] = command.split(" ");
  const key = { index, address: ip(address!) };
  if (verb === "del") return encodeDeleteNeighbour(key);
  if (command.endsWith(" use")) return encodeProbeNeighbour(key);
  const state = STATES.find(([, name]) => name === word("nud"))![0];
  const lladdr = word("lladdr");
  return encodeNewNeighbour({ ...key, state, ...(lladdr && { linkAddress: hex(lladdr) }) });
}

/** Ours always replace; a request of ip's may say NLM_F_EXCL, that it is a router, or more states. */
function plain(bytes: Uint8Array, command: string): string[] {
  const copy = bytes.slice();
  const [FLAGS, STATE, NDM_FLAGS] = [6, 24, 26];
  if (!command.includes(" del ")) copy.set([0x05, 0x05], FLAGS);
  if (command.includes(" del ")) copy.set([0, 0], STATE);
  copy[NDM_FLAGS]! &= ~NTF_ROUTER;
  return sortedMessage(copy, 28);
}

test.each(golden.requests)("the request of $command", ({ command, hex: theirs }) => {
  expect(sortedMessage(ours(command), 28)).toEqual(plain(hex(theirs), command));
});

const records = (datagrams: readonly string[]): Message[] =>
  datagrams.flatMap((datagram) => [...messages(hex(datagram))])
    .filter((message) => message.type !== NLMSG_DONE);

test.each(golden.dumps)("a dump reads as ip reads it: $name", ({ datagrams, neighbours }) => {
  const seen = records(datagrams).map(({ type, payload }) => {
    expect(type).toBe(RTM_NEWNEIGH);
    return decodeNeighbour(payload)!;
  }).filter((it) => it.index === index).map((it) => ({
    dst: formatAddress(it.address),
    lladdr: it.linkAddress?.toHex(),
    router: (it.flags & NTF_ROUTER) !== 0,
    probes: it.probes,
    state: STATES.filter(([bit]) => (it.state & bit) !== 0).map(([, name]) => name.toUpperCase()),
  }));
  expect(seen).toEqual(neighbours.map((said) => ({
    dst: said.dst,
    lladdr: said.lladdr?.replaceAll(":", ""),
    router: "router" in said,
    probes: said.probes,
    state: said.state,
  })));
});

test("damaged records are undefined or whole, and never throw", () => {
  for (const { payload } of golden.dumps.flatMap(({ datagrams }) => records(datagrams))) {
    for (const mutant of mutants(payload)) {
      const it = decodeNeighbour(mutant);
      if (it === undefined) continue;
      expect(it.index > 0 && it.address.length === (mutant[0] === 2 ? 4 : 16)).toBeTrue();
    }
  }
});

test("malformed records", () => {
  const head = "02000000 03000000 0200 00 01";
  const address = "08000100 c0000209";
  const rows: [string, boolean][] = [
    [`${head} ${address}`, true],
    [head, false],
    [`07000000 03000000 0200 00 01 ${address}`, false], // a bridge's
    [`02000000 00000000 0200 00 01 ${address}`, false], // index 0
    [`0a000000 03000000 0200 00 01 ${address}`, false], // four bytes of IPv6
    [`${head} ${address} 06000400 0100`, false], // probes of two bytes
    [`${head} ${address} 0a000200 0200000000090000`, true],
    [`${head} ${address} 0400`, false],
  ];
  for (const [bytes, good] of rows) {
    expect([bytes, decodeNeighbour(hex(bytes)) !== undefined]).toEqual([bytes, good]);
  }
});

test("dumps of one family or both", () => {
  const head = "1c000000 1e00 0103 00000000 00000000".replaceAll(" ", "");
  expect(encodeDumpNeighbours(4).toHex()).toBe(`${head}020000000000000000000000`);
  expect(encodeDumpNeighbours(6).toHex()).toBe(`${head}0a0000000000000000000000`);
  expect(encodeDumpNeighbours().toHex()).toBe(`${head}000000000000000000000000`);
});
