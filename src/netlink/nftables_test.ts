/** What nft sent, and what the kernel answered. */

import { expect, test } from "bun:test";
import golden from "../../test/golden/netlink/nftables.json";
import { mutants } from "../../test/support/mutants.ts";
import { someChanges } from "../../test/support/nft_tables.ts";
import { type Ack, decodeAck, messages, NLM_F_ACK, NLMSG_DONE } from "./message.ts";
import {
  decodeTable,
  type Element,
  encodeBatch,
  encodeDumpTables,
  encodeNewElements,
  encodeNewTable,
} from "./nftables.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));

/** Attributes, those with NLA_F_NESTED as lists of their own, in the order of their types. */
type Tree = [type: number, value: string | Tree][];

function tree(bytes: Uint8Array): Tree {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Tree = [];
  for (let offset = 0; offset < bytes.length;) {
    const length = view.getUint16(offset, true);
    const type = view.getUint16(offset + 2, true);
    const value = bytes.subarray(offset + 4, offset + length);
    found.push([type & 0x3fff, (type & 0x8000) !== 0 ? tree(value) : value.toHex()]);
    offset += (length + 3) & ~3;
  }
  return found.sort(([a], [b]) => a - b);
}

const NEWRULE = 6;
const NEWSET = 9;
const NEWSETELEM = 12;

/**
 * A request without what nft does for itself: ids of sets where their names do, numbered members of
 * lists, notes on a set behind the byte orders.
 */
function essence(bytes: Uint8Array): unknown {
  const [{ type, flags, payload } = { type: 0, flags: 0, payload: bytes }] = messages(bytes);
  const message = type & 0xff;
  let attributes = tree(payload.subarray(4));
  const within = (value: string | Tree, change: (tree: Tree) => Tree): string | Tree =>
    typeof value === "string" ? value : change(value);
  if (message === NEWSETELEM) {
    attributes = attributes.filter(([type]) => type !== 4)
      .map(([type, value]) => [type, within(value, (list) => list.map(([, one]) => [1, one]))]);
  }
  if (message === NEWSET) {
    attributes = attributes.map(([type, value]) =>
      type === 13 ? [type, orders(value as string)] : [type, value]
    );
  }
  if (message === NEWRULE) attributes = attributes.map(([t, v]) => [t, within(v, withoutIds)]);
  return { type, flags, head: payload.subarray(0, 4).toHex(), attributes };
}

/** The notes on byte orders, which come first. */
function orders(notes: string): string {
  return notes.match(/^(0[01]04.{8})+/)![0];
}

/** A list of expressions, the lookups without the ids of their sets, "bitwise" without its default. */
function withoutIds(list: Tree): Tree {
  const needless = new Map([["lookup", 4], ["bitwise", 6]]);
  return list.map(([type, one]) => {
    const [name, data] = one as Tree;
    const kind = new TextDecoder().decode(hex(name![1] as string).slice(0, -1));
    const left = (data![1] as Tree).filter(([inside]) => inside !== needless.get(kind));
    return [type, [name!, [data![0], left]]];
  });
}

const OURS = someChanges(golden.links);

test("every command of the golden is among ours", () => {
  expect(OURS.length).toBe(golden.requests.length);
});

test.each(golden.requests.map((it, i) => ({ ...it, ours: OURS[i]! })))(
  "the batch of $command",
  ({ ours, messages: theirs }) => {
    const batch = encodeBatch(ours);
    // nft asks for no answer: it waits for the next one.
    const quiet = batch.map((bytes) => {
      const copy = bytes.slice();
      copy[6]! &= ~NLM_F_ACK;
      return copy;
    });
    expect(quiet.map(essence)).toEqual(theirs.map((bytes) => essence(hex(bytes))));
  },
);

test("a batch asks once, at its last change, and leaves what it is given alone", () => {
  const changes = [1, 2, 3].map((i) => encodeNewTable({ family: "ip", name: `t${i}` }));
  const before = changes.map((bytes) => bytes.toHex());
  const flags = encodeBatch(changes).map((bytes) => [...messages(bytes)][0]!.flags);
  expect(flags).toEqual([1, 1, 1, 1 | NLM_F_ACK, 1]);
  expect(changes.map((bytes) => bytes.toHex())).toEqual(before);
  expect(() => encodeBatch([])).toThrow("a batch needs a change");
});

test("refusals, as the kernel put them", () => {
  const refused = golden.requests.flatMap(({ command, answers }) =>
    (answers ?? []).map((answer): [string, Ack] => [
      command.split(" ").slice(0, 2).join(" "),
      decodeAck([...messages(hex(answer))][0]!),
    ])
  );
  expect(refused).toEqual([
    ["add rule", { errno: 31 }], // EMLINK: a loop of chains
    ["create element", { errno: 17 }],
    ["create table", { errno: 17 }],
    ["delete set", { errno: 2 }],
    ["delete element", { errno: 2 }],
  ]);
});

const tables = golden.tables.flatMap((datagram) => [...messages(hex(datagram))])
  .filter(({ type }) => type !== NLMSG_DONE);

test("the tables of the kernel", () => {
  expect(tables.map(({ payload }) => decodeTable(payload)!)).toEqual([
    { family: "ip", name: "keepalived", flags: 0, id: 1n },
    { family: "ip6", name: "keepalived", flags: 0, id: 2n },
    { family: "inet", name: "ipvs", flags: 0, id: 3n },
  ]);
  const dump = "14000000 010a 0103 00000000 00000000 00000000".replaceAll(" ", "");
  expect(encodeDumpTables().toHex()).toBe(dump);
});

test("damaged tables are undefined or whole, and never throw", () => {
  for (const { payload } of tables) {
    for (const mutant of mutants(payload)) {
      const table = decodeTable(mutant);
      if (table === undefined) continue;
      expect(table.name).not.toBe("");
      encodeNewTable(table);
    }
  }
  expect(decodeTable(hex("0200 0000"))).toBeUndefined();
  expect(decodeTable(hex("6300 0000 06000100 61000000"))).toBeUndefined(); // no such family
  expect(decodeTable(hex("0200 0000 06000100 61000000"))).toBeDefined();
  expect(decodeTable(hex("0200 0000 06000100 61000000 06000200 00000000"))).toBeUndefined();
});

test("thousands of elements go in several messages, each of a length that fits", () => {
  const elements = Array.from({ length: 1001 }, (_, i): Element => ({
    key: Uint8Array.of(...Array(60).fill(7), i >> 24, i >> 16, i >> 8, i),
    data: { type: "jump", chain: "c".repeat(120) },
  }));
  const all = encodeNewElements({ table: { family: "ip", name: "t" }, name: "s" }, elements);
  expect(all.length).toBe(5);
  const keys = all.flatMap((bytes) => {
    const [list] = tree([...messages(bytes)][0]!.payload.subarray(4)).filter(([type]) =>
      type === 3
    );
    return (list![1] as Tree).map(([, element]) => ((element as Tree)[0]![1] as Tree)[0]![1]);
  });
  expect(keys).toEqual(elements.map(({ key }) => key.toHex()));
});
