/** The instructions before the first: which they are, where they go, and that nothing else changes. */

import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EARLY_SETTINGS, EARLY_VARIABLE } from "../src/parent/early_role.ts";
import { RUNTIME } from "../src/parent/supervisor.ts";
import { addEntry } from "./entry.ts";
import { ARM64, X64 } from "./entry/code.ts";

const FIRST = 0x2e00;
const AFTER = 0x2f00;
const ENVIRON = 0x612340;
const MACHINES = [[62, X64], [183, ARM64]] as const;

interface Layout {
  readonly machine: number;
  /** Where the segment before the code ends in the file. */
  readonly before?: number;
  readonly entry?: number;
  /** The variable that it shares with the C library. */
  readonly variable?: string;
}

/** An ELF file of two segments, data and code; code begins at 0x2e00 and lies at 0x402e00. */
function elf(
  { machine, before = 0x1234, entry = 0x402e40, variable = "environ" }: Layout,
): Uint8Array {
  const file = new Uint8Array(0x4000);
  const view = new DataView(file.buffer);
  const put = (at: number, ...values: readonly number[]): void =>
    values.forEach((value, i) => view.setBigUint64(at + 8 * i, BigInt(value), true));
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(18, machine, true);
  put(24, entry, 64, 0x3800);
  [56, 2, 64, 2].forEach((value, i) => view.setUint16(54 + 2 * i, value, true));
  const segment = (at: number, flags: number, ...values: readonly number[]): void => {
    view.setUint32(at, 1, true);
    view.setUint32(at + 4, flags, true);
    put(at + 8, ...values, 0x1000);
  };
  segment(64, 4, 0, 0x3fe000, 0x3fe000, before, before);
  segment(120, 5, FIRST, 0x402e00, 0x402e00, AFTER - FIRST, AFTER - FIRST);
  file.fill(0xaa, FIRST, AFTER);
  // Two sections: the symbols, whose strings are in section 1. One symbol is none, one is undefined.
  view.setUint32(0x3804, 11, true);
  put(0x3818, 0x3900, 72);
  view.setUint32(0x3828, 1, true);
  put(0x3858, 0x3a00);
  file.set(Buffer.from(`\0getenv\0${variable}\0`), 0x3a00);
  view.setUint32(0x3918, 1, true);
  view.setUint32(0x3930, 8, true);
  put(0x3938, ENVIRON);
  return file;
}

/** Settings of a role that other processes have as well. */
const SHARED = ["BUN_JSC_useConcurrentGC=0", "BUN_JSC_useWarmUpMarkedBlocks=0"];

for (const [machine, code] of MACHINES) {
  test(`machine ${machine}: the code as assembled, its numbers, a role's settings`, () => {
    const file = elf({ machine });
    addEntry(file);
    const view = new DataView(file.buffer);
    const start = FIRST - (0x402e00 - Number(view.getBigUint64(24, true)));
    expect(start % 16).toBe(0);
    const bytes = Buffer.from(file.subarray(start, FIRST));
    const length = code.length / 2;
    expect(bytes.subarray(0, length - 40).toString("hex")).toBe(code.slice(0, -80));
    const numbers = [0, 1, 2, 3, 4].map((i) =>
      view.getBigUint64(start + length - 40 + 8 * i, true)
    );
    const here = 0x402e00 - (FIRST - start);
    expect(numbers.slice(0, 2)).toEqual([BigInt(0x402e40 - here), BigInt(ENVIRON - here)]);
    // HUP 1, USR1 10, USR2 12, 34 to 64; and INT 2 and TERM 15 too.
    expect(numbers.slice(2, 4)).toEqual([0xfffffffe00000a01n, 0xfffffffe00004a03n]);
    expect(numbers[4]).toBe(131_072n);
    const settings = bytes.subarray(length).toString().replace(/\0*$/, "").split("\0");
    const expected = Object.entries(RUNTIME).map(([name, value]) => `${name}=${value}`);
    expect(settings.toSorted()).toEqual([...expected, "UPKEEP_ROLE=vrrp"].toSorted());
    // Where the code looks for what others have, too.
    expect(settings.slice(0, 2)).toEqual(SHARED);
    expect(settings[0]!.length + 1).toBe(26);
    expect(bytes.subarray(-2)).toEqual(Buffer.alloc(2));
  });

  test(`machine ${machine}: what it sets is what the parent takes out of the environment`, () => {
    const text = Buffer.from(code, "hex").toString("latin1");
    const names = [...`${text}${SHARED.join(" ")}`.matchAll(/[A-Z]+_\w+(?==)/g)]
      .map(([name]) => name);
    expect(new Set(names)).toEqual(new Set([EARLY_VARIABLE, ...EARLY_SETTINGS]));
  });
}

test("the segment of code begins earlier and ends where it did; all else is as it was", () => {
  for (const [machine] of MACHINES) {
    const [before, after] = [elf({ machine }), elf({ machine })];
    addEntry(after);
    const view = new DataView(after.buffer);
    const fields = [24, 128, 136, 144, 152, 160];
    const values = fields.map((at) => Number(view.getBigUint64(at, true)));
    const by = 0x402e00 - values[0]!;
    expect(values).toEqual([
      ...[0x402e00 - by, FIRST - by, 0x402e00 - by, 0x402e00 - by],
      ...[0x100 + by, 0x100 + by],
    ]);
    for (const at of fields) after.set(before.subarray(at, at + 8), at);
    after.fill(0, FIRST - by, FIRST);
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
    [elf({ machine: 62, variable: "environs" }), "the executable has no environ of its own"],
    [touched, "no room before the code"],
    [done, "the file has these instructions already"],
  ];
  for (const [file, complaint] of cases) {
    const copy = file.slice();
    expect(() => addEntry(file)).toThrow(complaint);
    expect(Buffer.compare(file, copy)).toBe(0);
  }
});

const hasAssemblers = Bun.which("x86_64-linux-gnu-as") !== null &&
  Bun.which("aarch64-linux-gnu-as") !== null;

test.skipIf(!hasAssemblers)(
  "code.ts is what assemble.sh makes (needs binutils for both machines)",
  () => {
    const folder = mkdtempSync(join(tmpdir(), "upkeep-entry-"));
    try {
      const root = join(import.meta.dir, "entry");
      expect(Bun.spawnSync(["sh", join(root, "assemble.sh"), folder]).exitCode).toBe(0);
      expect(readFileSync(join(folder, "code.ts"), "utf8"))
        .toBe(readFileSync(join(root, "code.ts"), "utf8"));
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
