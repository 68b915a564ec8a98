/** What an advert must be like to count, row by row, and what is said and counted of one that does not. */

import { expect, test } from "bun:test";
import { instanceWith } from "../../test/support/instances.ts";
import { parseTable } from "../../test/support/table.ts";
import type { AuthHmac, VrrpInstance } from "../config/vrrp.ts";
import { parseAddress } from "../lib/address.ts";
import type { Advert, AdvertError } from "../wire/vrrp.ts";
import type { Counters } from "./instance.ts";
import {
  type AuthRejection,
  counterOf,
  explainRejection,
  judge,
  type Received,
  type Rejection,
  type Secrets,
} from "./judge.ts";

const bytes = (text: string): Uint8Array => parseAddress(text)!;
const secret = (text: string): Uint8Array => new TextEncoder().encode(text.padEnd(8, "\0"));

/** Passwords are compared, the rest is as the packet's words have it. */
const secrets = (verdict?: AuthRejection | "auth-data" | "auth-replay"): Secrets => ({
  hasSecret: (data, authPass) => data.toHex() === secret(authPass).toHex(),
  judgeAh: () => verdict as "auth-data" | undefined,
  judgeTrailer: () => verdict as AuthRejection | undefined,
});

const HMAC: AuthHmac = {
  keys: [{ id: 1, key: "00".repeat(32) }],
  active_key: 1,
  time_window: 5_000_000,
  anti_replay: "time",
  mode: "enforce",
};
const PEER = { unicast_peer: [{ address: "192.0.2.9" }] };

/** The words of the table. */
const INSTANCES: Readonly<Record<string, Partial<VrrpInstance>>> = {
  "v2": {},
  "PASS": { authentication: { auth_type: "PASS", auth_pass: "one" } },
  "AH": { authentication: { auth_type: "AH", auth_pass: "one" } },
  "v3": { version: 3 },
  "IPv6": { version: 3, family: 6, mcast_group: "ff02::12" },
  "v2 IPv6": { version: 2, family: 6, mcast_group: "ff02::12" },
  "HMAC": { version: 3, auth_hmac: HMAC },
  "HMAC v2": { auth_hmac: HMAC, authentication: { auth_type: "PASS", auth_pass: "one" } },
  "permissive": { version: 3, auth_hmac: { ...HMAC, mode: "permissive" } },
  "receive-only": { version: 3, auth_hmac: { ...HMAC, mode: "receive-only" } },
  "strict": { version: 3, auth_hmac: { ...HMAC, mode: "permissive" }, strict_mode: true },
  "unicast": PEER,
  "known": { ...PEER, check_unicast_src: true },
  "near": {
    unicast_peer: [{ address: "192.0.2.9", min_ttl: 250, max_ttl: 254 }],
    check_unicast_src: true,
  },
  "known v3": { ...PEER, check_unicast_src: true, version: 3 },
  "known IPv6": {
    unicast_peer: [{ address: "fe80::9" }],
    check_unicast_src: true,
    version: 3,
    family: 6,
  },
  "owner": { priority: 255, owner_ignore_adverts: true },
  "strict owner": { priority: 255, strict_mode: true },
  "no owner": { priority: 254, owner_ignore_adverts: true, strict_mode: true },
};

const ERRORS: readonly string[] = ["length", "version", "type", "checksum", "count", "interval"];

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
  let packet: Omit<Received, "advert"> = {
    vrid: 7,
    source: bytes("192.0.2.9"),
    destination: bytes("224.0.0.18"),
    ttl: 255,
    length: 20,
    surplus: 0,
    versionType: 0x21,
    interval: 1,
    authType: 0,
    authData: new Uint8Array(8),
  };
  const change = (what: Partial<Received>): void => {
    packet = { ...packet, ...what };
  };
  for (const word of words.split(",").map((one) => one.trim()).filter((one) => one !== "")) {
    const [name = "", value = ""] = word.split(" ");
    if (ERRORS.includes(name)) advert = name as AdvertError;
    if (name === "length") change({ length: Number(value || 7) });
    else if (name === "version") change({ versionType: 0x41 });
    else if (name === "type") change({ versionType: 0x25 });
    else if (name === "v3") change({ versionType: 0x31 });
    else if (name === "ttl") change({ ttl: Number(value) });
    else if (name === "from") change({ source: bytes(value) });
    else if (name === "to") change({ destination: bytes(value) });
    else if (name === "surplus") change({ surplus: Number(value) });
    else if (name === "auth") change({ authType: Number(value) });
    else if (name === "pass") change({ authType: 1, authData: secret(value) });
    else if (name === "every") change({ interval: Number(value) });
    else if (!ERRORS.includes(name)) throw new Error(`"${word}" means nothing`);
  }
  return { ...packet, advert };
}

const RULES = `
instance     | packet                                | secrets               | verdict

What counts
v2           |                                       |                       |
v2           | to 239.255.255.255                    |                       |
v3           | v3, every 9                           |                       |
PASS         | pass one                              |                       |
AH           | auth 2                                |                       |
IPv6         | v3, from fe80::9, to ff02::12         |                       |
v2 IPv6      | from fe80::9, to ff02::12, auth 9     |                       |
unicast      | to 192.0.2.1                          |                       |
unicast      | to 192.0.2.1, ttl 1                   |                       |
unicast      | to 192.0.2.1, from 192.0.2.10         |                       |
known        | to 192.0.2.1                          |                       |
near         | to 192.0.2.1, ttl 250                 |                       |
near         | to 192.0.2.1, ttl 254                 |                       |
known v3     | v3, to 192.0.2.1                      |                       |
known IPv6   | v3, from fe80::9, to fe80::1          |                       |
HMAC         | v3, surplus 28                        |                       |
HMAC v2      | surplus 28                            |                       |
permissive   | v3                                    |                       |
receive-only | v3                                    |                       |
receive-only | v3, surplus 28                        |                       |
no owner     |                                       |                       |

Each reason alone
v2           | to 192.0.2.1                          |                       | other-cast
v2           | to 223.255.255.255                    |                       | other-cast
v2           | to 240.0.0.1                          |                       | other-cast
IPv6         | v3, from fe80::9, to fe80::1          |                       | other-cast
unicast      | to 224.0.0.18                         |                       | other-cast
known IPv6   | v3, from fe80::9, to ff02::12         |                       | other-cast
v2           | ttl 254                               |                       | ttl
v3           | v3, ttl 1                             |                       | ttl
IPv6         | v3, from fe80::9, to ff02::12, ttl 64 |                       | ttl
v2           | length                                |                       | length
v2           | length 15, surplus -1                 |                       | length
v2           | surplus 1                             |                       | length
v3           | v3, surplus 28                        |                       | length
v2           | version                               |                       | version
v2           | type                                  |                       | type
v2           | checksum                              |                       | checksum
v3           | v3, count                             |                       | count
v3           | v3, interval                          |                       | interval
v2           | v3                                    |                       | other-version
v3           |                                       |                       | other-version
v2           | auth 3                                |                       | auth-type-unknown
PASS         | auth 255                              |                       | auth-type-unknown
v2           | auth 1                                |                       | auth-type-other
v2           | auth 2                                |                       | auth-type-other
PASS         |                                       |                       | auth-type-other
PASS         | auth 2                                |                       | auth-type-other
AH           |                                       |                       | auth-type-other
HMAC v2      | surplus 28, auth 1                    |                       | auth-type-other
PASS         | pass two                              |                       | auth-data
PASS         | auth 1                                |                       | auth-data
AH           | auth 2                                | auth-data             | auth-data
AH           | auth 2                                | auth-replay           | auth-replay
v2           | every 2                               |                       | interval-other
PASS         | pass one, every 255                   |                       | interval-other
v2 IPv6      | from fe80::9, to ff02::12, every 2    |                       | interval-other
known        | to 192.0.2.1, from 192.0.2.10         |                       | stranger
known v3     | v3, to 192.0.2.1, from 192.0.2.8      |                       | stranger
known IPv6   | v3, from fe80::8, to fe80::1          |                       | stranger
near         | to 192.0.2.1, ttl 249                 |                       | peer-ttl
near         | to 192.0.2.1                          |                       | peer-ttl
HMAC         | v3                                    |                       | auth-ext-missing
strict       | v3                                    |                       | auth-ext-missing
HMAC         | v3, surplus 27                        |                       | auth-ext-malformed
permissive   | v3, surplus 29                        |                       | auth-ext-malformed
HMAC         | v3, surplus 28                        | auth-ext-malformed    | auth-ext-malformed
HMAC         | v3, surplus 28                        | auth-ext-unknown-key  | auth-ext-unknown-key
permissive   | v3, surplus 28                        | auth-ext-invalid-hmac | auth-ext-invalid-hmac
receive-only | v3, surplus 28                        | auth-ext-stale        | auth-ext-stale
HMAC v2      | surplus 28                            | auth-ext-replay       | auth-ext-replay
owner        |                                       |                       | owner
strict owner |                                       |                       | owner

Of two reasons the earlier one
v2           | length, ttl 1                         |                       | length
v2           | to 192.0.2.1, ttl 1                   |                       | ttl
v2           | ttl 1, checksum                       |                       | ttl
v2           | ttl 1, v3                             |                       | ttl
HMAC         | surplus 28                            | auth-ext-stale        | other-version
HMAC v2      | surplus 28, auth 3                    | auth-ext-replay       | auth-ext-replay
HMAC v2      | auth 3                                |                       | auth-ext-missing
v2           | v3, auth 3, every 2                   |                       | other-version
PASS         | auth 3, every 2                       |                       | auth-type-unknown
PASS         | auth 2, every 2                       |                       | auth-type-other
PASS         | pass two, every 2                     |                       | auth-data
PASS         | pass two, checksum                    |                       | auth-data
v2           | every 2, checksum                     |                       | interval-other
v2           | every 2, type                         |                       | interval-other
v2           | type, surplus 1                       |                       | type
v2           | surplus 1, checksum                   |                       | length
v2           | checksum, to 192.0.2.1                |                       | checksum
unicast      | to 192.0.2.1, ttl 1, checksum         |                       | checksum
owner        | to 192.0.2.1                          |                       | other-cast
owner        | checksum                              |                       | checksum
known        | to 192.0.2.1, from 192.0.2.8, auth 1  |                       | auth-type-other
known        | to 192.0.2.1, from 192.0.2.8, every 2 |                       | interval-other
near         | to 192.0.2.1, from 192.0.2.8, ttl 1   |                       | stranger

What only version 2 asks for
v3           | v3, auth 9, every 2                   |                       |
v3           | v3, pass two                          |                       |
`;

for (const row of parseTable(["instance", "packet", "secrets", "verdict"], RULES)) {
  test(row.text, () => {
    const settings = INSTANCES[row.instance];
    if (settings === undefined) throw new Error(`no instance is called ${row.instance}`);
    const given = row.secrets === "" ? undefined : row.secrets as AuthRejection;
    const verdict = judge(instanceWith(settings), packetWith(row.packet), secrets(given));
    expect(verdict ?? "").toBe(row.verdict as Rejection);
  });
}

test("secrets are only looked at where they are wanted", () => {
  const asked: string[] = [];
  const curious: Secrets = {
    hasSecret: (_data, authPass) => asked.push(authPass) > 0,
    judgeAh: () => void asked.push("AH"),
    judgeTrailer: () => void asked.push("HMAC"),
  };
  judge(instanceWith({ version: 3 }), packetWith("v3"), curious);
  judge(instanceWith(), packetWith(""), curious);
  judge(instanceWith(INSTANCES["PASS"]), packetWith("auth 2"), curious);
  judge(instanceWith(INSTANCES["permissive"]), packetWith("v3"), curious);
  expect(asked).toEqual([]);
  judge(instanceWith(INSTANCES["PASS"]), packetWith("pass any"), curious);
  judge(instanceWith(INSTANCES["AH"]), packetWith("auth 2"), curious);
  judge(instanceWith(INSTANCES["HMAC v2"]), packetWith("surplus 28"), curious);
  expect(asked).toEqual(["one", "AH", "HMAC"]);
});

/** Each rejection: what is counted, and what is said of this packet. */
const EXPLAINED: Record<Rejection, [keyof Counters | undefined, string]> = {
  "length": ["packet_len_err", "vrrp packet too short, length 6"],
  "checksum": ["packet_len_err", "Invalid VRRPv2 checksum"],
  "ttl": ["ip_ttl_err", "invalid TTL/HL. Received 64 and expect 255"],
  "peer-ttl": ["ip_ttl_err", "TTL/HL 64 is not in the range set for this unicast peer"],
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
  "auth-replay": [
    "auth_failure",
    "IPSEC-AH : sequence number already processed. Packet dropped",
  ],
  "auth-ext-missing": ["auth_ext_missing", "advert without authentication trailer"],
  "auth-ext-malformed": ["auth_ext_malformed", "malformed authentication trailer"],
  "auth-ext-unknown-key": [
    "auth_ext_unknown_key",
    "authentication trailer signed with a key that is not configured",
  ],
  "auth-ext-invalid-hmac": [
    "auth_ext_invalid_hmac",
    "invalid HMAC in authentication trailer - another key, or a forged advert",
  ],
  "auth-ext-stale": [
    "auth_ext_stale",
    "stale authentication trailer - the clocks differ by more than time_window, or a replay",
  ],
  "auth-ext-replay": ["auth_ext_replay", "replayed authentication trailer"],
  "owner": [undefined, "owner_ignore_adverts"],
};

for (const [name, [counter, phrase]] of Object.entries(EXPLAINED)) {
  const rejection = name as Rejection;
  test(`${rejection} counts as ${counter}: ${phrase}`, () => {
    expect(counterOf(rejection)).toBe(counter);
    const packet = { ...packetWith("ttl 64, length 6, every 3, auth 9"), versionType: 0x45 };
    expect(explainRejection(instanceWith(), rejection, packet))
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
  expect(say("auth-type-other", INSTANCES["AH"]!))
    .toBe("(other) received a 0 auth, expecting 2! (from 192.0.2.9)");
  expect(say("auth-data", INSTANCES["AH"]!)).toContain("invalid IPSEC HMAC-MD5 value");
  expect(say("interval-other", { advert_int: 255_000_000 }))
    .toBe("(other) advertisement interval mismatch mine=255 sec rcv'd=1 sec (from 192.0.2.9)");
  const long = explainRejection(instanceWith(), "length", packetWith("surplus 28"));
  expect(long).toBe("(V) vrrp packet too long, 28 bytes more than announced (from 192.0.2.9)");
});
