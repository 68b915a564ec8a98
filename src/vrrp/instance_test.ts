/** What an advert must be like to count, row by row, and what is said and counted of one that does not. */

import { expect, test } from "bun:test";
import { instanceWith } from "../../test/support/instances.ts";
import { parseTable } from "../../test/support/table.ts";
import type { VrrpInstance } from "../config/vrrp.ts";
import { parseAddress } from "../lib/address.ts";
import type { Advert, AdvertError } from "../wire/vrrp.ts";
import {
  counterOf,
  type Counters,
  explainFault,
  explainRejection,
  freshCounters,
  judge,
  type Received,
  type Rejection,
  virtualRouter,
} from "./instance.ts";

const bytes = (text: string): Uint8Array => parseAddress(text)!;
const secret = (text: string): Uint8Array => new TextEncoder().encode(text.padEnd(8, "\0"));
const hasSecret = (data: Uint8Array, authPass: string): boolean =>
  data.toHex() === secret(authPass).toHex();

const ERRORS: readonly string[] = ["length", "version", "type", "checksum", "count", "interval"];

/** The words of the table. */
const INSTANCES: Readonly<Record<string, Partial<VrrpInstance>>> = {
  "v2": {},
  "PASS": { authentication: { auth_type: "PASS", auth_pass: "one" } },
  "AH": { authentication: { auth_type: "AH", auth_pass: "one" } },
  "v3": { version: 3 },
  "IPv6": { version: 3, family: 6, mcast_group: "ff02::12" },
  "unicast": { unicast_peer: [{ address: "192.0.2.9" }] },
  "known": { unicast_peer: [{ address: "192.0.2.9" }], check_unicast_src: true },
  "known v3": { unicast_peer: [{ address: "192.0.2.9" }], check_unicast_src: true, version: 3 },
  "known IPv6": {
    unicast_peer: [{ address: "fe80::9" }],
    check_unicast_src: true,
    version: 3,
    family: 6,
  },
};

/** A packet that a version 2 instance takes, except for `words`, separated by commas. */
function packetWith(words: string): Received {
  let advert: Advert | AdvertError = {
    version: 2,
    vrid: 7,
    priority: 100,
    advertisementIntervalUs: 1_000_000,
    addresses: [],
    authType: 0,
    authData: new Uint8Array(8),
  };
  let packet = { source: bytes("192.0.2.9"), destination: bytes("224.0.0.18"), ttl: 255 };
  for (const word of words.split(",").map((one) => one.trim()).filter((one) => one !== "")) {
    const [name = "", value = ""] = word.split(" ");
    if (ERRORS.includes(name)) advert = name as AdvertError;
    else if (name === "ttl") packet = { ...packet, ttl: Number(value) };
    else if (name === "from") packet = { ...packet, source: bytes(value) };
    else if (name === "to") packet = { ...packet, destination: bytes(value) };
    else if (typeof advert === "string") throw new Error(`"${words}": nothing after the error`);
    else if (name === "v3") advert = { ...advert, version: 3 };
    else if (name === "auth") advert = { ...advert, authType: Number(value) };
    else if (name === "pass") advert = { ...advert, authType: 1, authData: secret(value) };
    else if (name === "every") advert = { ...advert, advertisementIntervalUs: Number(value) * 1e6 };
    else throw new Error(`"${word}" means nothing`);
  }
  return { vrid: 7, advert, length: 20, versionType: 0x21, interval: 1, authType: 0, ...packet };
}

const RULES = `
instance   | packet                               | verdict

What counts
v2         |                                      |
v2         | to 239.255.255.255                   |
v3         | v3, every 0.01                       |
v3         | v3, every 40.95                      |
PASS       | pass one                             |
IPv6       | v3, from fe80::9, to ff02::12        |
unicast    | to 192.0.2.1                         |
unicast    | to 192.0.2.1, ttl 1                  |
unicast    | to 192.0.2.1, from 192.0.2.10        |
known      | to 192.0.2.1                         |
known v3   | v3, to 192.0.2.1                     |
known IPv6 | v3, from fe80::9, to fe80::1         |

Each reason alone
v2         | to 192.0.2.1                         | other-cast
v2         | to 223.255.255.255                   | other-cast
v2         | to 240.0.0.1                         | other-cast
IPv6       | v3, from fe80::9, to fe80::1         | other-cast
unicast    | to 224.0.0.18                        | other-cast
known IPv6 | v3, from fe80::9, to ff02::12        | other-cast
v2         | ttl 254                              | ttl
v3         | v3, ttl 1                            | ttl
v2         | length                               | length
v2         | version                              | version
v2         | type                                 | type
v2         | checksum                             | checksum
v3         | count                                | count
v3         | interval                             | interval
v2         | v3                                   | other-version
v3         |                                      | other-version
v2         | auth 3                               | auth-type-unknown
PASS       | auth 255                             | auth-type-unknown
v2         | auth 1                               | auth-type-other
v2         | auth 2                               | auth-type-other
PASS       |                                      | auth-type-other
PASS       | auth 2                               | auth-type-other
PASS       | pass two                             | auth-data
PASS       | auth 1                               | auth-data
v2         | every 2                              | interval-other
PASS       | pass one, every 255                  | interval-other
known      | to 192.0.2.1, from 192.0.2.10        | stranger
known v3   | v3, to 192.0.2.1, from 192.0.2.8     | stranger
known IPv6 | v3, from fe80::8, to fe80::1         | stranger

Of two reasons the earlier one
v2         | to 192.0.2.1, ttl 1                  | other-cast
unicast    | length                               | other-cast
v2         | ttl 1, checksum                      | ttl
v2         | ttl 1, v3                            | ttl
unicast    | to 192.0.2.1, ttl 1, checksum        | checksum
v2         | v3, auth 3, every 2                  | other-version
PASS       | auth 3, every 2                      | auth-type-unknown
PASS       | auth 2, every 2                      | auth-type-other
PASS       | pass two, every 2                    | auth-data
known      | to 192.0.2.1, from 192.0.2.8, auth 1 | auth-type-other
known      | to 192.0.2.1, from 192.0.2.8, every 2 | interval-other

What only version 2 asks for
v3         | v3, auth 9, every 2                  |
v3         | v3, pass two                         |
`;

for (const row of parseTable(["instance", "packet", "verdict"], RULES)) {
  test(row.text, () => {
    const settings = INSTANCES[row.instance];
    if (settings === undefined) throw new Error(`no instance is called ${row.instance}`);
    const verdict = judge(instanceWith(settings), packetWith(row.packet), hasSecret);
    expect(verdict ?? "").toBe(row.verdict as Rejection);
  });
}

test("a password is only looked at where one is wanted", () => {
  const asked: string[] = [];
  const note = (_data: Uint8Array, authPass: string): boolean => asked.push(authPass) > 0;
  judge(instanceWith({ version: 3 }), packetWith("v3"), note);
  judge(instanceWith(), packetWith(""), note);
  judge(instanceWith(INSTANCES["PASS"]), packetWith("auth 2"), note);
  expect(asked).toEqual([]);
  judge(instanceWith(INSTANCES["PASS"]), packetWith("pass any"), note);
  expect(asked).toEqual(["one"]);
});

/** Each rejection: what is counted, and what is said of this packet. */
const EXPLAINED: Record<Rejection, [keyof Counters, string]> = {
  "length": ["packet_len_err", "vrrp packet too short, length 6"],
  "checksum": ["packet_len_err", "Invalid VRRPv2 checksum"],
  "ttl": ["ip_ttl_err", "invalid TTL/HL. Received 64 and expect 255"],
  "other-cast": ["invalid_type_rcvd", "discarding multicast packet on unicast instance"],
  "stranger": ["invalid_type_rcvd", "unicast source address 192.0.2.9 not a unicast peer"],
  "version": ["invalid_type_rcvd", "wrong version. Received 4 and expect 2"],
  "other-version": ["invalid_type_rcvd", "wrong version. Received 4 and expect 2"],
  "type": ["invalid_type_rcvd", "Invalid packet type. 5 and expect 1"],
  "count": ["addr_list_err", "received an unexpected ip number count 0"],
  "interval": ["advert_interval_err", "advertisement interval 0 received"],
  "interval-other": [
    "advert_interval_err",
    "advertisement interval mismatch mine=1 sec rcv'd=3 sec",
  ],
  "auth-type-unknown": ["invalid_authtype", "Invalid auth type: 9"],
  "auth-type-other": ["authtype_mismatch", "received a 9 auth, expecting 0!"],
  "auth-data": ["auth_failure", "received an invalid passwd!"],
};

for (const [name, [counter, phrase]] of Object.entries(EXPLAINED)) {
  const rejection = name as Rejection;
  test(`${rejection} counts as ${counter}: ${phrase}`, () => {
    expect(counterOf(rejection)).toBe(counter);
    const packet = { ...packetWith("ttl 64"), length: 6, versionType: 0x45, interval: 3 };
    expect(explainRejection(instanceWith(), rejection, { ...packet, authType: 9 }))
      .toBe(`(V) ${phrase} (from 192.0.2.9)`);
  });
}

test("what is said names what the instance wants", () => {
  const packet = packetWith("to 192.0.2.1");
  const say = (rejection: Rejection, rest: Partial<VrrpInstance>): string =>
    explainRejection(instanceWith({ name: "other", ...rest }), rejection, packet);
  expect(say("other-cast", {}))
    .toBe("(other) discarding unicast packet on multicast instance (from 192.0.2.9)");
  expect(say("checksum", { version: 3 }))
    .toBe("(other) Invalid VRRPv3 checksum (from 192.0.2.9)");
  expect(say("auth-type-other", INSTANCES["PASS"]!))
    .toBe("(other) received a 0 auth, expecting 1! (from 192.0.2.9)");
  expect(say("interval-other", { advert_int: 255_000_000 }))
    .toBe("(other) advertisement interval mismatch mine=255 sec rcv'd=1 sec (from 192.0.2.9)");
});

test("every rejection has its counter among the fresh ones, which are all zero", () => {
  const fresh = freshCounters();
  for (const [counter] of Object.values(EXPLAINED)) expect(fresh[counter]).toBe(0);
  expect(new Set(Object.values(fresh))).toEqual(new Set([0]));
  expect(freshCounters()).not.toBe(fresh);
});

test("the router of an instance is its settings in the machine's words", () => {
  const instance = instanceWith({
    version: 3,
    state: "MASTER",
    priority: 200,
    advert_int: 10_000,
    nopreempt: true,
    preempt_delay: 7,
    garp_master_delay: 1,
    garp_master_repeat: 2,
    garp_master_refresh: 3,
    garp_master_refresh_repeat: 4,
    garp_lower_prio_delay: 5,
    garp_lower_prio_repeat: 6,
  });
  const address = bytes("192.0.2.1");
  expect(virtualRouter(instance, address)).toEqual({
    version: 3,
    priority: 200,
    advertisementIntervalUs: 10_000,
    downTimerAdverts: 3,
    preempt: false,
    preemptDelayUs: 7,
    startsAsMaster: true,
    lowerPriorityNoAdvert: false,
    higherPrioritySendAdvert: false,
    timerExpiredPriority: undefined,
    address,
    garp: {
      delayUs: 1,
      repeat: 2,
      refreshUs: 3,
      refreshRepeat: 4,
      lowerPriorityDelayUs: 5,
      lowerPriorityRepeat: 6,
    },
  });
  expect(virtualRouter(instanceWith(), address)).toMatchObject({
    version: 2,
    preempt: true,
    startsAsMaster: false,
  });
});

test("options of the machine, and what strict_mode makes of them", () => {
  const address = bytes("192.0.2.1");
  const options = {
    down_timer_adverts: 7,
    lower_prio_no_advert: false,
    higher_prio_send_advert: true,
    preempt_delay: 5,
    timer_expired_backup: 9,
    garp_lower_prio_delay: 5,
    garp_lower_prio_repeat: 6,
  };
  expect(virtualRouter(instanceWith(options), address)).toMatchObject({
    downTimerAdverts: 7,
    lowerPriorityNoAdvert: false,
    higherPrioritySendAdvert: true,
    preemptDelayUs: 5,
    timerExpiredPriority: 9,
  });
  const strict = instanceWith({ ...options, strict_mode: true, priority: 255 });
  expect(virtualRouter(strict, address)).toMatchObject({
    downTimerAdverts: 3,
    lowerPriorityNoAdvert: true,
    higherPrioritySendAdvert: false,
    preemptDelayUs: 0,
    startsAsMaster: true,
    garp: { lowerPriorityRepeat: 0, lowerPriorityDelayUs: 0 },
  });
  const lower = instanceWith({ strict_mode: true, state: "MASTER" });
  expect(virtualRouter(lower, address).startsAsMaster).toBe(false);
});

test("a fault in words", () => {
  const instance = instanceWith({ family: 6 });
  expect(explainFault("no-link", instance)).toBe("interface eth0 does not exist");
  expect(explainFault("link-down", instance)).toBe("interface eth0 is down");
  expect(explainFault("no-address", instance))
    .toBe("interface eth0 has no IPv6 address to send from");
});
