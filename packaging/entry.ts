/**
 * Gives an executable made by `bun build --compile` instructions before its own first one
 * (entry/x64.s, entry/arm64.s). What they do cannot wait for the runtime, whose start takes some 4 ms:
 *
 * - They block the signals that would end a daemon by mistake before its code runs: HUP, USR1, USR2 and the
 *   real-time ones, which by default all kill. What is left is the dynamic linker's work. INT and TERM stay as
 *   they are unless it is a daemon: who is impatient may interrupt any other start.
 * - They say when /proc is not mounted, without which the runtime aborts.
 * - They set what the runtime reads in its environment before any code of ours could say it: no thread that
 *   prepares memory for a large heap; for a daemon and for a configuration test no optimising compiler, as hardly
 *   anything runs often enough; for a daemon a collection every 4 MB, for a test no collector beside the program,
 *   and none at all before there are 64 MiB.
 * - They start the vrrp role of a daemon, as soon as it is one that stays where it was called: two runtimes
 *   start side by side instead of one after the other. {@link ../src/parent/early_role.ts} takes the role over.
 *
 * They lie between the segments, in the first page of the code, which the kernel maps as a
 * whole; nothing moves, and the runtime finds its payload where it was. Usage: bun packaging/entry.ts FILE
 */

import { readFileSync, writeFileSync } from "node:fs";
import { EARLY_SIGNALS, INTERFACE_SIGNALS } from "../ffi/constants.ts";
import { ROLE_VARIABLE } from "../src/parent/channel.ts";
import { LEDGER_BYTES } from "../src/parent/ledger.ts";
import { RUNTIME } from "../src/parent/supervisor.ts";
import { ARM64, X64 } from "./entry/code.ts";

// elf.h
const PT_LOAD = 1;
const PF_X = 1;
const EM_X86_64 = 62;
const EM_AARCH64 = 183;
const SHT_DYNSYM = 11;
const PAGE = 4096;
const CODE: Readonly<Record<number, string>> = { [EM_X86_64]: X64, [EM_AARCH64]: ARM64 };
/** What the end of the code keeps room for: entry, environ, both sets of signals, the size of the ledger. */
const NUMBERS = 5;

/** A segment's place in the file and in memory, and where its program header is. */
interface Segment {
  readonly header: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
  readonly isCode: boolean;
}

/** The kernel's 64-bit set: bit N-1 is signal N. */
function signalSet(signals: readonly number[]): bigint {
  return signals.reduce((set, signal) => set | 1n << BigInt(signal - 1), 0n);
}

/**
 * A role's settings as an environment has them, each ended by a NUL, the last by two. Those that other processes
 * have as well come first, where entry/x64.s and entry/arm64.s look for them.
 */
function roleSettings(): string {
  const { BUN_JSC_useConcurrentGC, BUN_JSC_useWarmUpMarkedBlocks, ...others } = RUNTIME;
  const shared = { BUN_JSC_useConcurrentGC, BUN_JSC_useWarmUpMarkedBlocks };
  const settings = Object.entries({ ...shared, ...others, [ROLE_VARIABLE]: "vrrp" });
  return `${settings.map(([name, value]) => `${name}=${value}\0`).join("")}\0`;
}

/** The instructions for `machine`, in whole words of 16 bytes, with all numbers but the two places filled in. */
function instructions(machine: number): { bytes: Uint8Array; numbersAt: number } | undefined {
  const hex = CODE[machine];
  if (hex === undefined) return undefined;
  const code = Buffer.concat([Buffer.from(hex, "hex"), Buffer.from(roleSettings())]);
  const bytes = new Uint8Array(Math.ceil(code.length / 16) * 16);
  bytes.set(code);
  const numbersAt = hex.length / 2 - 8 * NUMBERS;
  const numbers = [signalSet(EARLY_SIGNALS), signalSet(INTERFACE_SIGNALS), BigInt(LEDGER_BYTES)];
  const view = new DataView(bytes.buffer);
  numbers.forEach((value, i) => view.setBigUint64(numbersAt + 16 + 8 * i, value, true));
  return { bytes, numbersAt };
}

/** Puts the instructions into an ELF file for a 64-bit little-endian machine, in place. Throws when there is no room. */
export function addEntry(file: Uint8Array): void {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const number = (at: number): number => Number(view.getBigUint64(at, true));
  const machine = view.getUint16(18, true);
  const made = instructions(machine);
  if (view.getUint32(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1 || made === undefined) {
    throw new Error(`not an ELF file for x86-64 or arm64 (machine ${machine})`);
  }
  const { bytes, numbersAt } = made;
  const entry = number(24);
  const loads = readSegments(view, number);
  const code = loads.find(({ isCode, address, size }) =>
    isCode && entry >= address && entry < address + size
  );
  if (code === undefined) throw new Error("the entry lies in no segment of code");
  if (Buffer.compare(file.subarray(code.offset, code.offset + 64), bytes.subarray(0, 64)) === 0) {
    throw new Error("the file has these instructions already");
  }
  // Where the segment begins decides where we do: 16 bytes are what compilers keep to.
  const by = bytes.length + code.offset % 16;
  const start = code.offset - by;
  checkRoom(file, loads, code, start);
  const environ = addressOf("environ", file, view, number);
  const places = new DataView(bytes.buffer);
  places.setBigInt64(numbersAt, BigInt(entry - (code.address - by)), true);
  places.setBigInt64(numbersAt + 8, BigInt(environ - (code.address - by)), true);
  file.set(bytes, start);
  const move = (at: number, distance: number): void =>
    view.setBigUint64(at, BigInt(number(at) + distance), true);
  // p_offset, p_vaddr and p_paddr begin earlier; p_filesz and p_memsz reach as far as before.
  for (const at of [8, 16, 24]) move(code.header + at, -by);
  for (const at of [32, 40]) move(code.header + at, by);
  view.setBigUint64(24, BigInt(code.address - by), true);
}

function readSegments(view: DataView, number: (at: number) => number): Segment[] {
  return readTable(view, number, 32, 54).filter((header) =>
    view.getUint32(header, true) === PT_LOAD
  ).map((header) => ({
    header,
    offset: number(header + 8),
    address: number(header + 16),
    size: number(header + 40),
    isCode: (view.getUint32(header + 4, true) & PF_X) !== 0,
  }));
}

/** Where the entries of one of the file's tables are; `offsetAt` and `sizeAt` are places in its first header. */
function readTable(
  view: DataView,
  number: (at: number) => number,
  offsetAt: number,
  sizeAt: number,
): number[] {
  const [table, size, count] = [
    number(offsetAt),
    view.getUint16(sizeAt, true),
    view.getUint16(sizeAt + 2, true),
  ];
  return Array.from({ length: count }, (_, i) => table + i * size);
}

/** The address of a variable that the executable shares with the C library. Throws when it has none. */
function addressOf(
  name: string,
  file: Uint8Array,
  view: DataView,
  number: (at: number) => number,
): number {
  const sections = readTable(view, number, 40, 58);
  const symbols = sections.find((header) => view.getUint32(header + 4, true) === SHT_DYNSYM);
  const strings = symbols === undefined ? undefined : sections[view.getUint32(symbols + 40, true)];
  if (symbols === undefined || strings === undefined) throw new Error("no dynamic symbols");
  const text = number(strings + 24);
  const wanted = Buffer.from(`${name}\0`);
  const [from, size] = [number(symbols + 24), number(symbols + 32)];
  for (let at = from; at < from + size; at += 24) {
    const named = text + view.getUint32(at, true);
    if (Buffer.compare(file.subarray(named, named + wanted.length), wanted) !== 0) continue;
    const address = number(at + 8);
    if (address !== 0) return address;
  }
  throw new Error(`the executable has no ${name} of its own`);
}

/** Nothing of another segment, in the file or in memory, may share the page in which we begin. */
function checkRoom(
  file: Uint8Array,
  loads: readonly Segment[],
  code: Segment,
  start: number,
): void {
  const page = code.offset - code.offset % PAGE;
  const others = loads.filter((one) => one !== code);
  const isFree = start >= page && file.subarray(start, code.offset).every((byte) => byte === 0) &&
    others.every(({ offset, size }) => offset >= code.offset || offset + size <= start) &&
    others.every(({ address, size }) =>
      address >= code.address || address + size <= code.address - code.offset % PAGE
    );
  if (!isFree) throw new Error("no room before the code in its first page");
}

if (import.meta.main) {
  const path = process.argv[2] ?? "";
  const file = readFileSync(path);
  addEntry(file);
  writeFileSync(path, file);
}
