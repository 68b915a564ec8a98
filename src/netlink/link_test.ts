/** Links as a real kernel described them, and requests as iproute2 sent them. */

import { expect, test } from "bun:test";
import dump from "../../test/golden/netlink/links.json";
import notifications from "../../test/golden/netlink/notifications.json";
import requests from "../../test/golden/netlink/requests.json";
import virtual from "../../test/golden/netlink/virtual_links.json";
import { mutants } from "../../test/support/mutants.ts";
import {
  decodeLink,
  encodeDeleteGroup,
  encodeDeleteLink,
  encodeDumpLinks,
  encodeGetLink,
  encodeNewLink,
  encodeSetLink,
  IFF_LOWER_UP,
  type Link,
} from "./link.ts";
import { type Message, messages, NLMSG_DONE } from "./message.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));
const received = (datagrams: readonly string[]): Message[] =>
  datagrams.flatMap((datagram) => [...messages(hex(datagram))]);
const records = received(dump.datagrams).filter((message) => message.type !== NLMSG_DONE);

test("a dump reads as ip reads it", () => {
  const seen = records.map((message) => decodeLink(message.payload)!).map((link) => ({
    ...link,
    address: link.address.toHex(),
    broadcast: link.broadcast.toHex(),
  }));
  expect(seen).toEqual(dump.links as unknown as typeof seen);
});

test("notifications: what each command made a listener hear", () => {
  const line = (message: Message): string => {
    const link = decodeLink(message.payload);
    if (link === undefined) return `${message.type} family ${message.payload[0]}`;
    const words = [`${message.type} ${link.name}`];
    if (link.up) words.push("up");
    if (link.master !== undefined) words.push(`in ${link.master}`);
    if (link.linkIndex !== undefined) words.push(`to ${link.linkIndex}`);
    return words.join(" ");
  };
  const heard = notifications.notes
    .filter(({ command }) => command.startsWith("ip link"))
    .map(({ command, datagrams }) => [command, received(datagrams).map(line)]);
  expect(heard).toEqual([
    ["ip link add n0 type veth peer name n1", ["16 n1", "16 n0 to 8"]],
    ["ip link set n0 master br0", ["16 n0 in 2 to 8", "16 n0 in 2 to 8", "16 family 7"]],
    ["ip link set n0 up", ["16 n0 up in 2 to 8", "16 family 7"]],
    // The bridge's RTM_DELLINK is no word about the link.
    [
      "ip link set n0 nomaster",
      ["16 n0 up in 2 to 8", "16 family 7", "17 family 7", "16 n0 up to 8"],
    ],
    ["ip link set n0 name n2", ["16 n2 up to 8"]],
    ["ip link del n2", ["16 n2", "17 n2", "17 n1"]],
  ]);
});

const INDEX = requests.links;
const VMAC = hex("00005e000104");
const OURS: Record<string, Uint8Array> = {
  "ip link add x0 type bridge": encodeNewLink({ kind: "bridge", name: "x0" }),
  "ip link add x1 up type veth peer name x2": encodeNewLink({
    kind: "veth",
    name: "x1",
    up: true,
    peer: { name: "x2" },
  }),
  "ip link add x4 link x1 address 00:00:5e:00:01:04 type macvlan mode private": encodeNewLink({
    kind: "macvlan",
    name: "x4",
    linkIndex: INDEX.x1,
    mode: "private",
    address: VMAC,
  }),
  "ip link add x5 link x1 type macvlan mode bridge": encodeNewLink({
    kind: "macvlan",
    name: "x5",
    linkIndex: INDEX.x1,
    mode: "bridge",
  }),
  "ip link set dev x0 up": encodeSetLink({ index: INDEX.x0, up: true }),
  "ip link set dev x0 down": encodeSetLink({ index: INDEX.x0, up: false }),
  "ip link set dev x2 master x0": encodeSetLink({ index: INDEX.x2, master: INDEX.x0 }),
  "ip link set dev x2 nomaster": encodeSetLink({ index: INDEX.x2, master: 0 }),
  "ip link set dev x5 name x6": encodeSetLink({ index: INDEX.x5, name: "x6" }),
  "ip link set dev x6 address 02:00:00:00:00:06": encodeSetLink({
    index: INDEX.x6,
    address: hex("020000000006"),
  }),
  "ip link set dev x2 mtu 1400": encodeSetLink({ index: INDEX.x2, mtu: 1400 }),
  "ip link del group 7": encodeDeleteGroup(7),
  "ip link del dev x6": encodeDeleteLink(INDEX.x6),
};

/** Header and fixed part, then the attributes sorted: their order means nothing. */
function sorted(bytes: Uint8Array): string[] {
  const attributes: string[] = [];
  for (let offset = 32; offset < bytes.length;) {
    const length = (bytes[offset]! + 3) & ~3;
    attributes.push(bytes.subarray(offset, offset + length).toHex());
    offset += length;
  }
  return [bytes.subarray(0, 32).toHex(), ...attributes.sort()];
}

const links = requests.requests.filter(({ command }) => command.startsWith("ip link"));

test.each(links)("the request of $command", ({ command, hex: theirs }) => {
  expect(sorted(OURS[command]!)).toEqual(sorted(hex(theirs)));
});

/** Indices of the virtual links by their names. */
const at = Object.fromEntries(virtual.links.map(({ ifname, ifindex }) => [ifname, ifindex]));
const VIRTUAL: readonly Uint8Array[] = [
  encodeNewLink({
    kind: "macvlan",
    name: "x2",
    linkIndex: at["x0"]!,
    mode: "private",
    address: hex("00005e000107"),
    group: 7,
  }),
  encodeNewLink({ kind: "macvlan", name: "x3", linkIndex: at["x0"]!, mode: "vepa" }),
  encodeNewLink({
    kind: "ipvlan",
    name: "x4",
    linkIndex: at["x1"]!,
    mode: "l2",
    isolation: "bridge",
  }),
  encodeNewLink({
    kind: "ipvlan",
    name: "x5",
    linkIndex: at["x9"]!,
    mode: "l3s",
    isolation: "vepa",
  }),
  encodeNewLink({
    kind: "ipvlan",
    name: "x7",
    linkIndex: at["x8"]!,
    mode: "l3",
    isolation: "private",
  }),
  encodeNewLink({ kind: "macvlan", name: "y2", linkIndex: at["y0"]!, mode: "bridge" }),
  encodeNewLink({ kind: "macvlan", name: "y3", linkIndex: at["y1"]!, mode: "passthru" }),
  encodeNewLink({ kind: "vrf", name: "x6", table: 4_000_000_000 }),
  encodeSetLink({ index: at["x2"]!, addrGenMode: "none" }),
  encodeSetLink({ index: at["x2"]!, group: 9 }),
  encodeSetLink({ index: at["x3"]!, master: at["x6"]! }),
];

test.each(virtual.requests.map((it, i) => ({ ...it, ours: VIRTUAL[i]! })))(
  "the request of $command",
  ({ ours, hex: theirs }) => expect(sorted(ours)).toEqual(sorted(hex(theirs))),
);

/** Messages of a dump without its end. */
const virtualRecords = received(virtual.datagrams).filter(({ type }) => type !== NLMSG_DONE);

test("a dump of virtual links reads as ip reads it", () => {
  const names = new Map(virtual.links.map(({ ifname, ifindex }) => [ifindex, ifname] as const));
  const seen = virtualRecords.map(({ payload }) => decodeLink(payload)!).map((link) => ({
    ifindex: link.index,
    ifname: link.name,
    link: names.get(link.linkIndex ?? 0),
    master: names.get(link.master ?? 0),
    lowerUp: (link.flags & IFF_LOWER_UP) !== 0,
    group: String(link.group ?? 0),
    address: link.address.toHex(),
    kind: link.kind,
    macvlan: link.macvlanMode,
    ipvlan: link.ipvlan,
    table: link.vrfTable,
  }));
  const theirs = virtual.links.map(({ linkinfo, ...it }) => {
    const data = linkinfo.info_data;
    const isolation = data?.private ? "private" : data?.vepa ? "vepa" : "bridge";
    return {
      ifindex: it.ifindex,
      ifname: it.ifname,
      link: it.link,
      master: it.master,
      lowerUp: it.flags.includes("LOWER_UP"),
      group: it.group,
      address: it.address.replaceAll(":", ""),
      kind: linkinfo.info_kind,
      macvlan: linkinfo.info_kind === "macvlan" ? data?.mode : undefined,
      ipvlan: linkinfo.info_kind === "ipvlan" ? { mode: data?.mode, isolation } : undefined,
      table: data?.table ?? linkinfo.info_slave_data?.table,
    };
  });
  expect(seen).toEqual(theirs as unknown as typeof seen);
});

test("what ip has no fixed bytes for: namespaces, dumps, queries", () => {
  const head = "00000000 00000000 00000000 00000000";
  const cases: [Uint8Array, string][] = [
    [
      encodeSetLink({ index: 5, netnsFd: 9, name: "a" }),
      `30000000 1000 0500 00000000 00000000 00000000 05000000 00000000 00000000
       06000300 61000000 08001c00 09000000`,
    ],
    [
      encodeNewLink({ kind: "veth", name: "a", peer: { name: "b", netnsFd: 9, address: VMAC } }),
      `68000000 1000 0506 00000000 00000000 ${head} 06000300 61000000
       40001200 08000100 76657468 34000200 30000100 ${head}
       06000300 62000000 0a000100 00005e00 01040000 08001c00 09000000`,
    ],
    [
      encodeGetLink("eth0"),
      `34000000 1200 0500 00000000 00000000 ${head} 09000300 65746830 00000000 08001d00 08000000`,
    ],
    [
      encodeGetLink(258),
      `28000000 1200 0500 00000000 00000000 00000000 02010000 00000000 00000000 08001d00 08000000`,
    ],
    [encodeDumpLinks(), `28000000 1200 0103 00000000 00000000 ${head} 08001d00 08000000`],
  ];
  for (const [ours, expected] of cases) expect(ours.toHex()).toBe(expected.replaceAll(/\s/g, ""));
});

test("a link whose other end is in a namespace without an id here", () => {
  const other = "08000500 02000000 08002500 ffffffff";
  const link = decodeLink(
    hex(`00000100 07000000 43100000 00000000 06000300 61000000 08000400 dc050000 ${other}`),
  );
  expect([link?.linkIndex, link?.linkNetnsid]).toEqual([2, -1]);
});

test("damaged records are undefined or whole, and never throw", () => {
  const whole = (link: Link): boolean =>
    link.index > 0 && link.name !== "" && Number.isInteger(link.mtu) &&
    [link.address, link.broadcast].every((bytes) => bytes instanceof Uint8Array);
  for (const { payload } of [...records, ...virtualRecords]) {
    for (const mutant of mutants(payload)) {
      const link = decodeLink(mutant);
      expect(link === undefined || whole(link)).toBeTrue();
    }
  }
});

test("malformed records", () => {
  const head = "00000100 07000000 43100000 00000000";
  const name = "06000300 61000000";
  const mtu = "08000400 dc050000";
  const rows: [string, boolean][] = [
    [`${head} ${name} ${mtu}`, true],
    [`${head} ${mtu} ${name}`, true],
    [head, false],
    [`${head} ${name}`, false], // a wireless event
    [`${head} ${mtu}`, false],
    [`${head} 05000300 00000000 ${mtu}`, false], // an empty name
    [`${head} ${name} 06000400 dc050000`, false], // a short MTU
    [`${head} ${name} ${mtu} 05001000 06000000`, true],
    [`${head} ${name} ${mtu} 06001000 06000000`, false], // an operational state of two bytes
    [`${head} ${name} ${mtu} 0c001200 09000100 61000000`, false], // a kind past its nest
    [`0a${head.slice(2)} ${name} ${mtu}`, false], // AF_INET6
    [`00000100 00000000 43100000 00000000 ${name} ${mtu}`, false], // index 0
  ];
  for (const [bytes, good] of rows) {
    expect([bytes, decodeLink(hex(bytes)) !== undefined]).toEqual([bytes, good]);
  }
});
