/** The instructions before the first: which they are, where they go, and that nothing else changes. */

import { expect, test } from "bun:test";
import { addEntry } from "./entry.ts";

const FIRST = 0x1600;
const AFTER = 0x1700;

interface Layout {
  readonly machine: number;
  /** Where the segment before the code ends in the file. */
  readonly before?: number;
  readonly entry?: number;
}

/** An ELF file of two segments, data and code; code begins at 0x1600 and lies at 0x401600. */
function elf({ machine, before = 0x1234, entry = 0x401640 }: Layout): Uint8Array {
  const file = new Uint8Array(0x2000);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(18, machine, true);
  view.setBigUint64(24, BigInt(entry), true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 2, true);
  const segment = (
    at: number,
    flags: number,
    offset: number,
    address: number,
    size: number,
  ): void => {
    view.setUint32(at, 1, true);
    view.setUint32(at + 4, flags, true);
    [offset, address, address, size, size, 0x1000].forEach((value, i) =>
      view.setBigUint64(at + 8 + 8 * i, BigInt(value), true)
    );
  };
  segment(64, 4, 0, 0x3ff000, before);
  segment(120, 5, FIRST, 0x401600, AFTER - FIRST);
  file.fill(0xaa, FIRST, AFTER);
  return file;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** HUP 1, USR1 10, USR2 12, 34 to 64. */
const SET = "010a0000feffffff";

test("x86-64: blocks the signals and jumps to where the entry was, rdx unharmed", () => {
  const file = elf({ machine: 62 });
  addEntry(file);
  const code =
    "4989d1 b80e000000 31ff 488d3517000000 31d2 41ba08000000 0f05 4c89ca e94d000000 cccccccccc";
  expect(hex(file.subarray(FIRST - 48, FIRST))).toBe((code + SET).replaceAll(" ", ""));
});

test("arm64: the same with x0", () => {
  const file = elf({ machine: 183 });
  addEntry(file);
  const words = [
    ...["e90300aa", "000080d2", "01010010", "020080d2", "030180d2", "e81080d2", "010000d4"],
    ...["e00309aa", "14000014", "000020d4"],
  ];
  expect(hex(file.subarray(FIRST - 48, FIRST))).toBe(words.join("") + SET);
});

test("the segment of code begins earlier and ends where it did; all else is as it was", () => {
  for (const machine of [62, 183]) {
    const [before, after] = [elf({ machine }), elf({ machine })];
    addEntry(after);
    const view = new DataView(after.buffer);
    const fields = [24, 128, 136, 144, 152, 160];
    expect(fields.map((at) => Number(view.getBigUint64(at, true))))
      .toEqual([0x4015d0, FIRST - 48, 0x4015d0, 0x4015d0, 0x130, 0x130]);
    for (const at of fields) after.set(before.subarray(at, at + 8), at);
    after.fill(0, FIRST - 48, FIRST);
    expect(Buffer.compare(after, before)).toBe(0);
  }
});

test("what is no such file, has no room or has them already is refused and stays as it was", () => {
  const done = elf({ machine: 62 });
  addEntry(done);
  const touched = elf({ machine: 62 });
  touched[FIRST - 20] = 1;
  const cases: [Uint8Array, string][] = [
    [elf({ machine: 8 }), "not an ELF file for x86-64 or arm64 (machine 8)"],
    [new Uint8Array(4096), "not an ELF file"],
    [elf({ machine: 62, entry: 0x400000 }), "the entry lies in no segment of code"],
    [elf({ machine: 62, before: FIRST - 47 }), "no room before the code"],
    [touched, "no room before the code"],
    [done, "the file has these instructions already"],
  ];
  for (const [file, complaint] of cases) {
    const copy = file.slice();
    expect(() => addEntry(file)).toThrow(complaint);
    expect(Buffer.compare(file, copy)).toBe(0);
  }
});
