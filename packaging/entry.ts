/**
 * Gives an executable made by `bun build --compile` a few instructions before its own first one: they block
 * the signals that would end a daemon by mistake before its code runs (HUP, USR1, USR2 and the real-time
 * ones, which by default all kill). Some 4 ms of the runtime's own start are covered by that; what is left
 * is the dynamic linker's work. INT and TERM stay as they are: who is impatient may interrupt any start.
 *
 * The instructions lie between the segments, in the first page of the code, which the kernel maps as a
 * whole; nothing moves, and the runtime finds its payload where it was. Usage: bun packaging/entry.ts FILE
 */

import { readFileSync, writeFileSync } from "node:fs";
import { EARLY_SIGNALS } from "../ffi/constants.ts";

// elf.h
const PT_LOAD = 1;
const PF_X = 1;
const EM_X86_64 = 62;
const EM_AARCH64 = 183;
const PAGE = 4096;

/** A segment's place in the file and in memory, and where its program header is. */
interface Segment {
  readonly header: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
  readonly isCode: boolean;
}

/** The kernel's 64-bit set: bit N-1 is signal N. */
function signalSet(): Uint8Array {
  const set = new Uint8Array(8);
  for (const signal of EARLY_SIGNALS) set[(signal - 1) >> 3]! |= 1 << ((signal - 1) & 7);
  return set;
}

/** rt_sigprocmask(SIG_BLOCK, set, NULL, 8), then a jump to `to`, for code that lies at `from`. */
type Stub = (from: number, to: number) => Uint8Array;

/** The set follows the code at 40. At the entry only rsp and rdx mean something. */
const stubX64: Stub = (from, to) => {
  const code = Uint8Array.of(
    ...[0x49, 0x89, 0xd1], //                    0  mov  r9, rdx
    ...[0xb8, 0x0e, 0x00, 0x00, 0x00], //        3  mov  eax, 14      rt_sigprocmask
    ...[0x31, 0xff], //                          8  xor  edi, edi     SIG_BLOCK
    ...[0x48, 0x8d, 0x35, 0x17, 0, 0, 0], //    10  lea  rsi, [rip+23]
    ...[0x31, 0xd2], //                         17  xor  edx, edx     NULL
    ...[0x41, 0xba, 0x08, 0x00, 0x00, 0x00], // 19  mov  r10d, 8
    ...[0x0f, 0x05], //                         25  syscall           clobbers rax, rcx, r11
    ...[0x4c, 0x89, 0xca], //                   27  mov  rdx, r9
    ...[0xe9, 0, 0, 0, 0], //                   30  jmp  to
    ...[0xcc, 0xcc, 0xcc, 0xcc, 0xcc], //       35  (never)
    ...signalSet(), //                          40
  );
  new DataView(code.buffer).setInt32(31, to - (from + 35), true);
  return code;
};

/** The set follows the code at 40. At the entry only sp and x0 mean something. */
const stubArm64: Stub = (from, to) => {
  const words = [
    0xaa0003e9, //  0  mov  x9, x0
    0xd2800000, //  4  mov  x0, 0        SIG_BLOCK
    0x10000101, //  8  adr  x1, .+32
    0xd2800002, // 12  mov  x2, 0        NULL
    0xd2800103, // 16  mov  x3, 8
    0xd28010e8, // 20  mov  x8, 135      rt_sigprocmask
    0xd4000001, // 24  svc  0
    0xaa0903e0, // 28  mov  x0, x9
    0x14000000, // 32  b    to
    0xd4200000, // 36  brk  (never)
  ];
  words[8]! += ((to - (from + 32)) / 4) & 0x03ffffff;
  const code = new Uint8Array(48);
  words.forEach((word, i) => new DataView(code.buffer).setUint32(4 * i, word, true));
  code.set(signalSet(), 40);
  return code;
};

const STUBS: Readonly<Record<number, Stub>> = { [EM_X86_64]: stubX64, [EM_AARCH64]: stubArm64 };

/** Puts the instructions into an ELF file for a 64-bit little-endian machine, in place. Throws when there is no room. */
export function addEntry(file: Uint8Array): void {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const number = (at: number): number => Number(view.getBigUint64(at, true));
  const machine = view.getUint16(18, true);
  const stub = STUBS[machine];
  if (view.getUint32(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1 || stub === undefined) {
    throw new Error(`not an ELF file for x86-64 or arm64 (machine ${machine})`);
  }
  const entry = number(24);
  const loads = readSegments(view, number);
  const code = loads.find(({ isCode, address, size }) =>
    isCode && entry >= address && entry < address + size
  );
  if (code === undefined) throw new Error("the entry lies in no segment of code");
  const bytes = stub(code.address - 48, entry);
  if (Buffer.compare(file.subarray(code.offset, code.offset + 24), bytes.subarray(0, 24)) === 0) {
    throw new Error("the file has these instructions already");
  }
  const start = code.offset - bytes.length;
  checkRoom(file, loads, code, start);
  file.set(bytes, start);
  const move = (at: number, by: number): void =>
    view.setBigUint64(at, BigInt(number(at) + by), true);
  // p_offset, p_vaddr and p_paddr begin earlier; p_filesz and p_memsz reach as far as before.
  for (const at of [8, 16, 24]) move(code.header + at, -bytes.length);
  for (const at of [32, 40]) move(code.header + at, bytes.length);
  view.setBigUint64(24, BigInt(code.address - bytes.length), true);
}

function readSegments(view: DataView, number: (at: number) => number): Segment[] {
  const [table, size, count] = [number(32), view.getUint16(54, true), view.getUint16(56, true)];
  const headers = Array.from({ length: count }, (_, i) => table + i * size);
  return headers.filter((header) => view.getUint32(header, true) === PT_LOAD).map((header) => ({
    header,
    offset: number(header + 8),
    address: number(header + 16),
    size: number(header + 40),
    isCode: (view.getUint32(header + 4, true) & PF_X) !== 0,
  }));
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
