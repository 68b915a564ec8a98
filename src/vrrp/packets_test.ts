/** Adverts as packets: made, signed, opened and judged again, for every way they can travel. */

import { describe, expect, test } from "bun:test";
import { instanceWith, virtualAddress } from "../../test/support/instances.ts";
import { mutants } from "../../test/support/mutants.ts";
import type { AuthHmac, VrrpInstance } from "../config/vrrp.ts";
import { parseAddress } from "../lib/address.ts";
import { checksum } from "../wire/checksum.ts";
import { checksumStyle } from "../wire/vrrp.ts";
import { authState } from "./auth.ts";
import { judge, type Received, type Secrets } from "./judge.ts";
import {
  advertPackets,
  type Envelope,
  judgeAh,
  judgeTrailer,
  openIpv4,
  protocolOf,
  readAdvert,
  signPackets,
} from "./packets.ts";
import type { Packet } from "./ports.ts";

const bytes = (text: string): Uint8Array => parseAddress(text)!;
const NOW_US = 1_795_000_000_000_000;
const HMAC: AuthHmac = {
  keys: [{ id: 1, key: "11".repeat(32) }, { id: 2, key: "22".repeat(64) }],
  active_key: 2,
  time_window: 5_000_000,
  anti_replay: "time",
  mode: "enforce",
};
const FOUR = { virtual_ipaddress: [virtualAddress("192.0.2.100")] };
const SIX = {
  version: 3,
  family: 6,
  mcast_group: "ff02::12",
  virtual_ipaddress: [virtualAddress("fe80::100"), virtualAddress("2001:db8::100")],
} as const;
const PEERS = { unicast_peer: [{ address: "192.0.2.9" }, { address: "192.0.2.10" }] };
const PEERS6 = { unicast_peer: [{ address: "fe80::9" }, { address: "2001:db8::9" }] };
const AH = { auth_type: "AH", auth_pass: "secret" } as const;

const WAYS: Readonly<Record<string, Partial<VrrpInstance>>> = {
  "v2": FOUR,
  "v2 PASS": { ...FOUR, authentication: { auth_type: "PASS", auth_pass: "secret" } },
  "v2 AH": { ...FOUR, authentication: AH },
  "v2 AH unicast": { ...FOUR, ...PEERS, authentication: AH },
  "v2 HMAC": { ...FOUR, auth_hmac: HMAC },
  "v3": { ...FOUR, version: 3 },
  "v3 unicast": { ...FOUR, ...PEERS, version: 3, unicast_ttl: 3 },
  "v3 HMAC unicast": { ...FOUR, ...PEERS, version: 3, auth_hmac: HMAC },
  "IPv6": SIX,
  "IPv6 unicast": { ...SIX, ...PEERS6 },
  "IPv6 HMAC": { ...SIX, auth_hmac: HMAC },
  "IPv6 HMAC unicast": { ...SIX, ...PEERS6, auth_hmac: HMAC },
};

/** An instance's signed adverts. */
function sent(instance: VrrpInstance, wallUs = NOW_US): readonly Packet[] {
  const source = bytes(instance.family === 4 ? "192.0.2.1" : "fe80::1");
  const packets = advertPackets(instance, 100, { source, index: 2, style: "pseudo" });
  const auth = authState(instance);
  if (auth !== undefined) signPackets(instance, packets, source, auth, wallUs);
  if (instance.family === 4) {
    // The kernel writes the header's checksum.
    for (const { bytes: { bytes: packet } } of packets) {
      packet.fill(0, 10, 12);
      const sum = checksum(packet.subarray(0, 20));
      packet.set([sum >> 8, sum & 255], 10);
    }
  }
  return packets;
}

/** A packet as the other end receives it: over IPv6 the kernel tells what was in the header. */
function arrived(instance: VrrpInstance, { bytes: memory, to }: Packet): Envelope | undefined {
  const packet = memory.bytes.slice();
  if (instance.family === 4) return openIpv4(packet);
  const destination = to.bytes.subarray(8, 24);
  const source = bytes("fe80::1");
  return { packet, message: packet, source, destination, ttl: 255, isAh: false };
}

/** The verdict of a router like `instance` that hears it for the first time. */
function verdict(instance: VrrpInstance, envelope: Envelope, wallUs = NOW_US): string {
  const auth = authState(instance);
  const packet: Received = readAdvert(envelope, undefined);
  const secrets: Secrets = {
    hasSecret: (data, pass) => new TextDecoder().decode(data).replaceAll("\0", "") === pass,
    judgeAh: () => judgeAh(auth!, envelope),
    judgeTrailer: () => judgeTrailer(instance, auth!, envelope, "peer", wallUs),
  };
  return judge(instance, packet, secrets) ?? "";
}

for (const [name, settings] of Object.entries(WAYS)) {
  describe(name, () => {
    const instance = instanceWith(settings);
    const packets = sent(instance);

    test("one packet for the group or for each peer, and each counts", () => {
      expect(packets).toHaveLength(Math.max(1, instance.unicast_peer.length));
      for (const packet of packets) {
        const envelope = arrived(instance, packet)!;
        expect(verdict(instance, envelope)).toBe("");
        const { advert } = readAdvert(envelope, undefined);
        expect(advert).toMatchObject({ priority: 100, vrid: 7, version: instance.version });
      }
    });

    test("no shortened or bent copy counts as this advert, or throws", () => {
      const [packet] = packets;
      const whole = packet!.bytes.bytes.slice();
      for (const mutant of mutants(whole)) {
        const to = packet!.to;
        const memory = { ...packet!.bytes, bytes: mutant } as Packet["bytes"];
        const envelope = arrived(instance, { bytes: memory, to });
        if (envelope === undefined) continue;
        const said = verdict(instance, envelope);
        const isHeaderOnly = instance.family === 4 && mutant.length === whole.length &&
          mutant.subarray(20).toHex() === whole.subarray(20).toHex();
        if (!isHeaderOnly) expect(said).not.toBe("");
      }
    });
  });
}

test("what protocol, which TTL", () => {
  expect(protocolOf(instanceWith(WAYS["v2 AH"]))).toBe(51);
  expect(protocolOf(instanceWith(WAYS["v2 HMAC"]))).toBe(112);
  expect(openIpv4(sent(instanceWith(WAYS["v3 unicast"]))[1]!.bytes.bytes)?.ttl).toBe(3);
  expect(openIpv4(sent(instanceWith(WAYS["v3"]))[0]!.bytes.bytes)?.ttl).toBe(255);
});

test("only link-local destinations are bound to a link", () => {
  const scopes = sent(instanceWith(WAYS["IPv6 unicast"])).map(({ to }) =>
    new DataView(to.bytes.buffer, to.bytes.byteOffset).getUint32(24, true)
  );
  expect(scopes).toEqual([2, 0]);
});

test("all peers get the same trailer, and every advert another", () => {
  const instance = instanceWith(WAYS["IPv6 HMAC unicast"]);
  const [a, b] = sent(instance).map(({ bytes: { bytes: packet } }) => packet.slice(-28).toHex());
  expect(a).toBe(b!);
  const source = bytes("fe80::1");
  const packets = advertPackets(instance, 100, { source, index: 2, style: "pseudo" });
  const auth = authState(instance)!;
  const trailers = [0, 1, 2].map(() => {
    signPackets(instance, packets, source, auth, NOW_US);
    return packets[0]!.bytes.bytes.slice(-28).toHex();
  });
  expect(new Set(trailers).size).toBe(3);
});

test("receive-only sends no trailer; a trailer by a key or a clock that is not ours counts not", () => {
  const silent = instanceWith({ ...WAYS["v2 HMAC"], auth_hmac: { ...HMAC, mode: "receive-only" } });
  const plain = instanceWith(WAYS["v2"]);
  expect(sent(silent)[0]!.bytes.bytes.length).toBe(sent(plain)[0]!.bytes.bytes.length);
  const signed = arrived(plain, sent(instanceWith(WAYS["v2 HMAC"]))[0]!)!;
  expect(verdict(silent, signed)).toBe("");
  expect(verdict(plain, signed)).toBe("length");
  const other = { ...HMAC, keys: [{ id: 2, key: "33".repeat(32) }] };
  expect(verdict(instanceWith({ ...FOUR, auth_hmac: other }), signed)).toBe(
    "auth-ext-invalid-hmac",
  );
  const fewer = { ...HMAC, keys: HMAC.keys.slice(0, 1), active_key: 1 };
  expect(verdict(instanceWith({ ...FOUR, auth_hmac: fewer }), signed)).toBe("auth-ext-unknown-key");
  const mine = instanceWith({ ...FOUR, auth_hmac: HMAC });
  expect(verdict(mine, signed, NOW_US + 6_000_000)).toBe("auth-ext-stale");
  expect(verdict(mine, signed, NOW_US + 5_000_000)).toBe("");
});

test("an old peer's checksum is sound only where it may be", () => {
  const instance = instanceWith(WAYS["v3 unicast"]);
  const source = bytes("192.0.2.1");
  const group = bytes("224.0.0.18");
  const [packet] = advertPackets(instance, 100, { source, index: 2, style: "group" });
  const envelope = openIpv4(packet!.bytes.bytes)!;
  expect(checksumStyle(envelope.message, envelope, group)).toBe("group");
  expect(readAdvert(envelope, undefined).advert).toBe("checksum");
  expect(readAdvert(envelope, group).advert).toMatchObject({ priority: 100 });
});
