/** BFD Control packets: those of keepalived and of FRR byte for byte, the rules of RFC 5880 §6.8.6 by hand, cut, bent and random. */

import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { mutants } from "../../test/support/mutants.ts";
import { prng } from "../../test/support/prng.ts";
import {
  blankControl,
  CONTROL_BYTES,
  type ControlError,
  type ControlPacket,
  decodeControl,
  encodeControl,
} from "./bfd.ts";

const GOLDEN = new URL("../../test/golden/bfd/", import.meta.url);
/** Ethernet 14, IPv4 20, UDP 8. */
const HEADERS = 42;

function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll(/\s/g, ""));
}

function decode(bytes: Uint8Array, length?: number): ControlPacket | ControlError {
  const into = blankControl();
  return decodeControl(bytes, into, length) ?? into;
}

function encode(packet: ControlPacket): Uint8Array {
  const bytes = new Uint8Array(CONTROL_BYTES).fill(0xff);
  encodeControl(packet, bytes);
  return bytes;
}

const goldens = readdirSync(GOLDEN).filter((file) => file.endsWith(".hex")).sort().map((file) => {
  const read = (name: string): string => readFileSync(new URL(name, GOLDEN), "utf8");
  return {
    name: file.slice(0, -4),
    message: hex(read(file)).slice(HEADERS),
    packet: JSON.parse(read(file.replace(".hex", ".json"))) as ControlPacket,
  };
});

test("there are captures", () => expect(goldens.length).toBe(7));

for (const { name, message, packet } of goldens) {
  describe(name, () => {
    test("both ways", () => {
      expect(decode(message)).toEqual(packet);
      expect(encode(packet)).toEqual(message);
    });

    test("padding of any content changes nothing", () => {
      for (const padding of [new Uint8Array(1), new Uint8Array(40).fill(0xa5)]) {
        expect(decode(new Uint8Array([...message, ...padding]))).toEqual(packet);
      }
    });

    test("what lies beyond the received length is not looked at", () => {
      for (let length = 0; length < CONTROL_BYTES; length++) {
        expect(decode(message, length)).toBe("length");
      }
    });

    test("cut or bent it is an error or another packet, never an exception or itself", () => {
      for (const mutant of mutants(message)) {
        const decoded = decode(mutant);
        if (typeof decoded === "string") continue;
        expect(decoded).not.toEqual(packet);
        expect(encode(decoded)).toEqual(mutant);
      }
    });
  });
}

const SOUND = "20c0 0318 0000 0001 0000 0002 0000 2710 0000 2710 0000 0000";

const rules: readonly (readonly [string, string, Partial<ControlPacket> | ControlError])[] = [
  // rule, message, outcome
  ["a sound packet", SOUND, { state: "Up", multiplier: 3, desiredMinTxUs: 10_000 }],
  ["version 0", SOUND.replace("20c0", "00c0"), "version"],
  ["version 2", SOUND.replace("20c0", "40c0"), "version"],
  ["version 7", SOUND.replace("20c0", "e0c0"), "version"],
  ["the version is told before the length", "40", "version"],
  ["nothing", "", "length"],
  ["Length below the mandatory part", SOUND.replace("0318", "0317"), "length"],
  ["Length beyond the payload", SOUND.replace("0318", "0319"), "length"],
  ["Length of a longer packet that is there", `${SOUND.replace("0318", "0319")} 00`, {
    state: "Up",
  }],
  ["with authentication 24 bytes are too few", SOUND.replace("20c0", "20c4"), "length"],
  [
    "with authentication 26 are enough",
    `${SOUND.replace("20c0 0318", "20c4 031a")} 0102`,
    "authentication",
  ],
  ["Detect Mult 0", SOUND.replace("0318", "0018"), "multiplier"],
  ["Multipoint", SOUND.replace("20c0", "20c1"), "multipoint"],
  ["My Discriminator 0", SOUND.replace("0000 0001", "0000 0000"), "my-discriminator"],
  ["Your Discriminator 0 while Up", SOUND.replace("0000 0002", "0000 0000"), "your-discriminator"],
  ["… while Init", `2080${SOUND.slice(4).replace("0000 0002", "0000 0000")}`, "your-discriminator"],
  ["… while Down", `2040${SOUND.slice(4).replace("0000 0002", "0000 0000")}`, { state: "Down" }],
  ["… while AdminDown", `2000${SOUND.slice(4).replace("0000 0002", "0000 0000")}`, {
    state: "AdminDown",
  }],
  ["Poll and Final", SOUND.replace("20c0", "20f0"), "poll-final"],
  ["a diagnostic nobody has defined", SOUND.replace("20c0", "3fc0"), { diagnostic: 31 }],
  ["Control Plane Independent and Demand", SOUND.replace("20c0", "20ca"), {
    controlPlaneIndependent: true,
    demand: true,
  }],
  ["the largest numbers", `20c0 ff18 ${"ffff ffff ".repeat(5)}`, {
    multiplier: 255,
    myDiscriminator: 0xffffffff,
    yourDiscriminator: 0xffffffff,
    desiredMinTxUs: 0xffffffff,
    requiredMinRxUs: 0xffffffff,
    requiredMinEchoRxUs: 0xffffffff,
  }],
];

for (const [rule, text, outcome] of rules) {
  test(rule, () => {
    const decoded = decode(hex(text));
    if (typeof outcome === "string") expect(decoded).toBe(outcome);
    else expect(decoded).toMatchObject(outcome);
  });
}

test("a packet that is refused leaves what was decoded before", () => {
  const into = blankControl();
  expect(decodeControl(hex(SOUND), into)).toBeUndefined();
  const before = { ...into };
  for (const [, text, outcome] of rules) {
    if (typeof outcome !== "string") continue;
    expect(decodeControl(hex(text), into)).toBe(outcome);
    expect(into).toEqual(before);
  }
});

test("every packet survives the way there and back; random bytes do no harm", () => {
  const random = prng(5880);
  const u32 = (): number => random.integer(0, 0xffffffff);
  for (let i = 0; i < 2000; i++) {
    const [poll, final] = random.pick([[false, false], [true, false], [false, true]] as const);
    const packet: ControlPacket = {
      diagnostic: random.integer(0, 31),
      state: random.pick(["AdminDown", "Down", "Init", "Up"]),
      poll,
      final,
      controlPlaneIndependent: random.chance(0.5),
      demand: random.chance(0.5),
      multiplier: random.integer(1, 255),
      myDiscriminator: random.integer(1, 0xffffffff),
      yourDiscriminator: random.integer(1, 0xffffffff),
      desiredMinTxUs: u32(),
      requiredMinRxUs: u32(),
      requiredMinEchoRxUs: u32(),
    };
    expect(decode(encode(packet))).toEqual(packet);
    const noise = Uint8Array.from({ length: random.integer(0, 40) }, () => random.integer(0, 255));
    const decoded = decode(noise);
    if (typeof decoded !== "string") {
      expect(encode(decoded).slice(4)).toEqual(noise.slice(4, CONTROL_BYTES));
    }
  }
});
