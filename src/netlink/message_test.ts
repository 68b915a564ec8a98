/** Headers, attributes and acknowledgements, against a real kernel's and against damage. */

import { expect, test } from "bun:test";
import golden from "../../test/golden/netlink/acks.json";
import { mutants } from "../../test/support/mutants.ts";
import {
  AttributeReader,
  AttributeWriter,
  decodeAck,
  encodeMessage,
  type Message,
  messages,
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  patchSequence,
} from "./message.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));

test("a message is its header, in host order, and its payload", () => {
  const bytes = encodeMessage({
    type: 0x1234,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: hex("0102030405060708"),
  });
  patchSequence(bytes, 0x89abcdef, 0xfedcba98);
  expect(bytes.toHex()).toBe(
    "18000000 3412 0500 efcdab89 98badcfe 0102030405060708".replaceAll(" ", ""),
  );
  const batch = messages(bytes);
  expect([...batch]).toEqual([{
    type: 0x1234,
    flags: 5,
    seq: 0x89abcdef,
    pid: 0xfedcba98,
    payload: hex("0102030405060708"),
  }]);
  expect(batch.truncated).toBeFalse();
});

const A = "14000000 0100 0000 01000000 00000000 aabbccdd";
const ODD = "13000000 0200 0000 02000000 00000000 aabbcc";
const EMPTY = "10000000 0300 0000 03000000 00000000";

const DATAGRAMS: [title: string, bytes: string, types: number[], truncated: boolean][] = [
  ["nothing", "", [], false],
  ["one", A, [1], false],
  ["padding between", `${ODD} 00 ${EMPTY}`, [2, 3], false],
  ["no padding after the last", `${A} ${ODD}`, [1, 2], false],
  ["cut in a header", `${A} ${EMPTY.slice(0, -2)}`, [1], true],
  ["cut in a payload", `${A} ${ODD.slice(0, -2)}`, [1], true],
  ["padding missing in the middle", `${ODD} ${EMPTY}`, [2], true],
  ["a length of 0", `${A} 00000000 0300 0000 03000000 00000000`, [1], true],
  ["a length below the header's", `0f000000 0300 0000 03000000 00000000`, [], true],
  ["a length of 2^31", `00000080 0300 0000 03000000 00000000`, [], true],
  ["a length of 2^32 - 1", `ffffffff 0300 0000 03000000 00000000`, [], true],
];

test.each(DATAGRAMS)("datagram: %s", (_, bytes, types, truncated) => {
  const batch = messages(hex(bytes));
  expect([...batch].map((message) => message.type)).toEqual(types);
  expect(batch.truncated).toBe(truncated);
});

test("messages honours the offset of the view it is given", () => {
  const inside = hex(`ffffffffff ${A} ${ODD} 00`).subarray(5);
  expect([...messages(inside)].map((m) => m.payload.toHex())).toEqual(["aabbccdd", "aabbcc"]);
});

const VERDICTS: Record<string, [errno: number, text?: string]> = {
  "EEXIST with text, request quoted": [17, "ipv4: Address already assigned"],
  "EEXIST with text, request capped": [17, "ipv4: Address already assigned"],
  "EEXIST, no extended ack": [17],
  "success": [0],
  "success, no extended ack": [0],
  "end of a dump": [0],
  "strict dump of a link that is not there": [19],
};

test.each(golden.acks)("the kernel's acknowledgement: $title", ({ title, datagram }) => {
  const last = [...messages(hex(datagram))].at(-1)!;
  expect([NLMSG_ERROR, NLMSG_DONE]).toContain(last.type);
  const [errno, text] = VERDICTS[title]!;
  expect(decodeAck(last)).toEqual(text === undefined ? { errno } : { errno, text });
});

test("a dump may end in an error with text, and an acknowledgement may be too short", () => {
  const ack = (type: number, flags: number, payload: string): unknown =>
    decodeAck({ type, flags, payload: hex(payload) });
  const text = "0a00 0100 6e6f706521 00 0000";
  expect(ack(NLMSG_DONE, NLM_F_ACK_TLVS, `edffffff ${text}`)).toEqual({ errno: 19, text: "nope!" });
  expect(ack(NLMSG_DONE, 0, `edffffff ${text}`)).toEqual({ errno: 19 });
  const quote = (length: string): string => `edffffff ${length} 1400 0500 00000000 00000000`;
  expect(ack(NLMSG_ERROR, NLM_F_ACK_TLVS, `${quote("11000000")} ff000000 ${text}`))
    .toEqual({ errno: 19, text: "nope!" });
  // 4 + 0xfffffff0 wraps to 12 bytes before the end, where the text is.
  expect(ack(NLMSG_ERROR, NLM_F_ACK_TLVS, `${quote("f0ffffff")} ${text}`)).toEqual({ errno: 19 });
  expect(ack(NLMSG_DONE, 0, "")).toEqual({ errno: 0 });
  expect(ack(NLMSG_ERROR, 0, "00")).toEqual({ errno: 74 });
  expect(ack(NLMSG_ERROR, 0, "edffffff")).toEqual({ errno: 19 });
  expect(ack(NLMSG_ERROR, NLM_F_ACK_TLVS, "edffffff 0102")).toEqual({ errno: 19 });
});

test("damaged acknowledgements never throw and stay numbers", () => {
  for (const { datagram } of golden.acks) {
    for (const mutant of mutants(hex(datagram))) {
      for (const message of messages(mutant)) {
        const { errno, text } = decodeAck(message);
        expect(Number.isInteger(errno) && (text === undefined || typeof text === "string"))
          .toBeTrue();
      }
    }
  }
});

test("attributes are written with length, type and padding, and read back", () => {
  const w = new AttributeWriter();
  w.raw(hex("0a0b0c0d"));
  w.u8(1, 0xff);
  w.u16(2, 0xfffe);
  w.u32(3, 0xfffffffd);
  w.u32(4, -2);
  w.text(5, "eth0");
  w.nest(0x8006, () => {
    w.bytes(7, hex("010203"));
    w.nest(8, () => {});
  });
  w.bytes(9, hex("aabb"));
  const written = w.finish();
  expect(written.toHex()).toBe(
    `0a0b0c0d 05000100ff000000 06000200feff0000 08000300fdffffff 08000400feffffff 09000500657468300000 0000
     10000680 0700070001020300 04000800 06000900aabb0000`.replaceAll(/\s/g, ""),
  );

  const r = new AttributeReader(written.subarray(4));
  const seen: unknown[] = [];
  while (r.next()) {
    if (r.type === 1) seen.push(r.u8());
    else if (r.type === 2) seen.push(r.u16());
    else if (r.type === 3) seen.push(r.u32());
    else if (r.type === 4) seen.push(r.s32());
    else if (r.type === 5) seen.push(r.text());
    else if (r.type === 6) {
      r.nest((inside) => {
        while (inside.next()) seen.push([inside.type, inside.bytes().toHex()]);
      });
    } else seen.push(r.bytes(2).toHex());
  }
  expect(seen).toEqual([255, 0xfffe, 0xfffffffd, -2, "eth0", [7, "010203"], [8, ""], "aabb"]);
  expect(r.short).toBeFalse();
});

test("writers that follow each other, or stand side by side, do not meet", () => {
  const first = new AttributeWriter();
  first.bytes(1, hex("ffffffffff"));
  const second = new AttributeWriter();
  second.u8(2, 0xaa);
  const written = first.finish();
  expect(second.finish().toHex()).toBe("05000200aa000000");
  const third = new AttributeWriter();
  third.bytes(3, hex("01"));
  expect(third.finish().toHex()).toBe("0500030001000000");
  expect(written.toHex()).toBe("09000100ffffffffff000000");
  expect(first.finish().length).toBe(0);
});

test("the writer grows", () => {
  const w = new AttributeWriter();
  for (let i = 0; i < 300; i++) w.u32(i + 1, i);
  w.nest(1000, () => w.bytes(1, new Uint8Array(65_524).fill(7)));
  const r = new AttributeReader(w.finish());
  for (let i = 0; i < 300; i++) expect([r.next(), r.type, r.u32()]).toEqual([true, i + 1, i]);
  expect([r.next(), r.bytes().length, r.next(), r.short]).toEqual([true, 65_528, false, false]);
  expect(() => w.bytes(1, new Uint8Array(65_532))).toThrow("65536 bytes");
  expect(() => w.nest(1, () => w.bytes(1, new Uint8Array(65_528)))).toThrow("65536 bytes");
});

const ATTRIBUTES: [title: string, bytes: string, types: number[], short: boolean][] = [
  ["nothing", "", [], false],
  ["flags of the type hidden", "04000180 04000240", [1, 2], false],
  ["no padding after the last", "05000100ff000000 05000200ff", [1, 2], false],
  ["a length of 0", "04000100 00000200", [1], true],
  ["a length of 3", "03000100", [], true],
  ["a length past the end", "04000100 09000200aabbccdd", [1], true],
  ["half a header", "04000100 0400", [1], true],
];

test.each(ATTRIBUTES)("attributes: %s", (_, bytes, types, short) => {
  const r = new AttributeReader(hex(bytes));
  const seen: number[] = [];
  while (r.next()) seen.push(r.type);
  expect([seen, r.short]).toEqual([types, short]);
});

test("a value of another size is zero, and short sticks through nests", () => {
  const readings: [(r: AttributeReader) => unknown, unknown][] = [
    [(r) => r.u8(), 0],
    [(r) => r.u16(), 0],
    [(r) => r.u32(), 0],
    [(r) => r.s32(), 0],
    [(r) => r.bytes(4).toHex(), "00000000"],
  ];
  for (const [read, zero] of readings) {
    const r = new AttributeReader(hex("0b000100 07000200aabbcc00 04000300"));
    expect(r.next()).toBeTrue();
    let value: unknown;
    r.nest((inside) => {
      inside.next();
      value = read(inside);
    });
    expect([value, r.short, r.next()]).toEqual([zero, true, false]);
  }
});

test("values outlive the bytes they came from", () => {
  const bytes = hex("06000100aabb0000");
  const r = new AttributeReader(bytes);
  r.next();
  const value = r.bytes();
  bytes.fill(0);
  expect(value.toHex()).toBe("aabb");
});

test("iteration of any noise ends, whole messages only", () => {
  let seed = 1;
  for (let round = 0; round < 2000; round++) {
    const bytes = Uint8Array.from({ length: round % 97 }, () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return (seed >>> 24) % 3 === 0 ? seed >>> 16 : (seed >>> 24) % 24;
    });
    const all: Message[] = [...messages(bytes)];
    const total = all.reduce((sum, message) => sum + 16 + message.payload.length, 0);
    expect(total).toBeLessThanOrEqual(bytes.length);
    const r = new AttributeReader(bytes);
    let steps = 0;
    while (r.next()) steps++;
    expect(steps).toBeLessThanOrEqual(bytes.length / 4 + 1);
  }
});

test("numbers in network order, and of 64 bits, both ways", () => {
  const w = new AttributeWriter();
  w.be16(1, 0x1234);
  w.be32(2, 0xfedcba98);
  w.be64(3, 0xfedcba9876543210n);
  w.u64(4, 0xfedcba9876543210n);
  const bytes = w.finish();
  expect(bytes.toHex()).toBe(
    ("0600 0100 12340000 0800 0200 fedcba98 0c00 0300 fedcba9876543210" +
      "0c00 0400 1032547698badcfe").replaceAll(" ", ""),
  );
  const read = (of: Uint8Array): unknown[] => {
    const r = new AttributeReader(of);
    const seen: unknown[] = [];
    while (r.next()) {
      seen.push([() => r.be16(), () => r.be32(), () => r.be64(), () => r.u64()][r.type - 1]?.());
    }
    return [...seen, r.short];
  };
  const all = [0x1234, 0xfedcba98, 0xfedcba9876543210n, 0xfedcba9876543210n];
  expect(read(bytes)).toEqual([...all, false]);
  for (let length = 1; length < bytes.length; length++) {
    const whole = [8, 16, 28].indexOf(length) + 1;
    const seen = read(bytes.subarray(0, length));
    if (whole > 0) expect(seen).toEqual([...all.slice(0, whole), false]);
    else if (length !== 6 && length !== 7) expect(seen.at(-1)).toBeTrue();
  }
  expect(read(hex("05000100 12000000 "))).toEqual([0, true]);
  expect(read(hex("08000300 12000000"))).toEqual([0n, true]);
  expect(read(hex("08000400 12000000"))).toEqual([0n, true]);
});
