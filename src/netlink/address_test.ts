/** Addresses as a real kernel described them, and requests as iproute2 sent them. */

import { expect, test } from "bun:test";
import dump from "../../test/golden/netlink/addresses.json";
import notifications from "../../test/golden/netlink/notifications.json";
import requests from "../../test/golden/netlink/requests.json";
import { mutants } from "../../test/support/mutants.ts";
import { type Address, formatAddress, parseAddress } from "../lib/address.ts";
import {
  decodeAddressMessage,
  encodeDeleteAddress,
  encodeDumpAddresses,
  encodeNewAddress,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  type InterfaceAddress,
  RT_SCOPE_LINK,
  RTM_DELADDR,
  RTM_NEWADDR,
} from "./address.ts";
import { type Message, messages, NLM_F_CREATE, NLM_F_EXCL, NLMSG_DONE } from "./message.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));
const ip = (text: string): Address => parseAddress(text)!;
const received = (datagrams: readonly string[]): Message[] =>
  datagrams.flatMap((datagram) => [...messages(hex(datagram))]);
const records = (datagrams: readonly string[]): Message[] =>
  received(datagrams).filter((message) => message.type !== NLMSG_DONE);

function inText(it: InterfaceAddress): Record<string, unknown> {
  const entries = Object.entries(it).map(([key, value]) =>
    [key, value instanceof Uint8Array ? formatAddress(value) : value] as const
  );
  return Object.fromEntries(entries);
}

test.each([dump.inet, dump.inet6])("a dump reads as ip reads it", ({ datagrams, addresses }) => {
  const seen = records(datagrams).map(({ payload }) => inText(decodeAddressMessage(payload)!));
  expect(seen).toEqual(addresses);
});

test("notifications of an address that came and went", () => {
  const heard = notifications.notes.filter(({ command }) => command.startsWith("ip addr"))
    .flatMap(({ datagrams }) => received(datagrams))
    .map(({ type, payload }) => [type, formatAddress(decodeAddressMessage(payload)!.address)]);
  expect(heard).toEqual([[RTM_NEWADDR, "192.0.2.33"], [RTM_DELADDR, "192.0.2.33"]]);
});

const index = requests.links.x0;
const ADD = NLM_F_CREATE | NLM_F_EXCL;
const OURS: Record<string, Uint8Array> = {
  "ip addr add 192.0.2.65/26 dev x0": encodeNewAddress(
    { index, address: ip("192.0.2.65"), prefixLength: 26 },
    ADD,
  ),
  "ip addr replace 192.0.2.66/26 broadcast 192.0.2.127 label x0:v dev x0": encodeNewAddress({
    index,
    address: ip("192.0.2.66"),
    prefixLength: 26,
    broadcast: ip("192.0.2.127"),
    label: "x0:v",
  }),
  "ip addr add 192.0.2.67 peer 192.0.2.68/32 scope link dev x0": encodeNewAddress({
    index,
    address: ip("192.0.2.67"),
    peer: ip("192.0.2.68"),
    prefixLength: 32,
    scope: RT_SCOPE_LINK,
  }, ADD),
  "ip addr add 192.0.2.69/32 noprefixroute valid_lft 100 preferred_lft 50 dev x0": encodeNewAddress(
    {
      index,
      address: ip("192.0.2.69"),
      prefixLength: 32,
      flags: IFA_F_NOPREFIXROUTE,
      validLifetime: 100,
      preferredLifetime: 50,
    },
    ADD,
  ),
  "ip addr add 2001:db8:1::1/128 nodad preferred_lft 0 dev x0": encodeNewAddress({
    index,
    address: ip("2001:db8:1::1"),
    prefixLength: 128,
    flags: IFA_F_NODAD,
    preferredLifetime: 0,
  }, ADD),
  "ip addr add 2001:db8:1::2/64 dev x0": encodeNewAddress(
    { index, address: ip("2001:db8:1::2"), prefixLength: 64 },
    ADD,
  ),
  "ip addr del 192.0.2.66/26 label x0:v dev x0": encodeDeleteAddress({
    index,
    address: ip("192.0.2.66"),
    prefixLength: 26,
    label: "x0:v",
  }),
  "ip addr del 192.0.2.67 peer 192.0.2.68/32 dev x0": encodeDeleteAddress({
    index,
    address: ip("192.0.2.67"),
    peer: ip("192.0.2.68"),
    prefixLength: 32,
  }),
  "ip addr del 2001:db8:1::1/128 dev x0": encodeDeleteAddress({
    index,
    address: ip("2001:db8:1::1"),
    prefixLength: 128,
  }),
};

/** Header and fixed part, then the attributes sorted: their order means nothing. */
function sorted(bytes: Uint8Array): string[] {
  const attributes: string[] = [];
  for (let offset = 24; offset < bytes.length;) {
    const length = (bytes[offset]! + 3) & ~3;
    attributes.push(bytes.subarray(offset, offset + length).toHex());
    offset += length;
  }
  return [bytes.subarray(0, 24).toHex(), ...attributes.sort()];
}

const addresses = requests.requests.filter(({ command }) => command.startsWith("ip addr"));

test.each(addresses)("the request of $command", ({ command, hex: theirs }) => {
  expect(sorted(OURS[command]!)).toEqual(sorted(hex(theirs)));
});

test("dumps of one family or all", () => {
  const head = "18000000 1600 0103 00000000 00000000".replaceAll(" ", "");
  expect(encodeDumpAddresses(4).toHex()).toBe(`${head}0200000000000000`);
  expect(encodeDumpAddresses(6).toHex()).toBe(`${head}0a00000000000000`);
  expect(encodeDumpAddresses().toHex()).toBe(`${head}0000000000000000`);
});

test("what is encoded decodes to itself", () => {
  for (const { datagrams } of [dump.inet, dump.inet6]) {
    for (const { payload } of records(datagrams)) {
      const address = decodeAddressMessage(payload)!;
      const [again] = messages(encodeNewAddress(address));
      expect(decodeAddressMessage(again!.payload)).toEqual(address);
    }
  }
});

test("damaged records are undefined or whole, and never throw", () => {
  for (const { datagrams } of [dump.inet, dump.inet6]) {
    for (const { payload } of records(datagrams)) {
      for (const mutant of mutants(payload)) {
        const it = decodeAddressMessage(mutant);
        if (it === undefined) continue;
        const length = mutant[0] === 2 ? 4 : 16;
        const whole = it.index > 0 && it.prefixLength <= 8 * length &&
          [it.address, it.peer, it.broadcast].every((a) => a === undefined || a.length === length);
        expect(whole).toBeTrue();
      }
    }
  }
});

test("malformed records", () => {
  const head = "02180000 07000000";
  const local = "08000200 c0000201";
  const rows: [string, boolean][] = [
    [`${head} ${local}`, true],
    [`${head} 08000100 c0000201`, true],
    [head, false],
    [`02210000 07000000 ${local}`, false], // a prefix of 33 bits
    [`02200000 07000000 ${local}`, true],
    [`02180000 00000000 ${local}`, false], // index 0
    [`0a180000 07000000 ${local}`, false], // four bytes of IPv6
    [`07180000 07000000 ${local}`, false], // another family
    [`${head} 07000200 c0000200`, false], // three bytes
    [`${head} ${local} 06000800 80000000`, false], // flags of two bytes
    [`${head} ${local} 08000600 ffffffff`, false], // half a cacheinfo
    [`${head} ${local} 0400`, false], // half an attribute
  ];
  for (const [bytes, good] of rows) {
    expect([bytes, decodeAddressMessage(hex(bytes)) !== undefined]).toEqual([bytes, good]);
  }
});
