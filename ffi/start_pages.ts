/**
 * Giving back the pages that only the start has used. The runtime touches some 20 MiB of its code and
 * constants on its way to our first line; a process that then waits for years need not hold them.
 */

import { O_CLOEXEC, O_RDONLY } from "./constants.ts";
import { libc } from "./libc.ts";
import { cString, Memory } from "./memory.ts";
import { type Pointer, read } from "./native.ts";

const MADV_DONTNEED = 4; // bits/mman-linux.h
const PROT_READ = 1;
const MAP_PRIVATE = 2;
const PAGE = 4096;
const MAPS_BYTES = 128 * 1024;
const PATH_BYTES = 4096;

/** A part of this process's memory. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** Where our compiled program lies, as far as it is known. */
let program: Range | undefined;

/**
 * Drops the code of our executable, its compiled program, and the constants at its start, from this process's
 * memory; what is still needed comes back from the page cache when it is touched. Only pages nobody can have
 * written to are dropped: what the dynamic linker relocates lies elsewhere in the file. Costs less
 * than a millisecond; where /proc says nothing, nothing happens.
 */
export function releaseStartPages(): void {
  const path = new Memory(PATH_BYTES);
  const length = libc.readlink(cString("/proc/self/exe").pointer, path.pointer, PATH_BYTES);
  if (length <= 0) return;
  const executable = new TextDecoder().decode(path.bytes.subarray(0, length));
  for (const line of readMaps().split("\n")) {
    const [range = "", permissions, offset = "", , , mapped] = line.split(/ +/);
    const isCode = permissions === "r-xp";
    const isConstant = permissions === "r--p" && /^0+$/.test(offset);
    if (mapped !== executable || (!isCode && !isConstant)) continue;
    const [from = 0, to = 0] = range.split("-").map((word) => Number.parseInt(word, 16));
    libc.madvise(from, to - from, MADV_DONTNEED);
    if (isConstant) program ??= findProgram(from as Pointer);
  }
  if (program !== undefined) libc.madvise(program.from, program.to - program.from, MADV_DONTNEED);
}

// elf.h: Elf64_Ehdr, Elf64_Shdr
const EHDR = { type: 16, sections: 40, sectionSize: 58, sectionCount: 60, names: 62 } as const;
const SHDR = { name: 0, address: 16, offset: 24, size: 32 } as const;
const ET_DYN = 3;
/** The section that the build puts behind all others: it lies among what may be written to, and never is. */
const PROGRAM_SECTION = ".bun";

/** Whole pages of our program, by the ELF header at `header`; none when there is no such section. */
function findProgram(header: Pointer): Range {
  const nowhere = { from: 0, to: 0 };
  const fd = libc.open(cString("/proc/self/exe").pointer, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return nowhere;
  const size = read.u16(header, EHDR.sectionSize);
  const count = read.u16(header, EHDR.sectionCount);
  const sections = mapFile(fd, Number(read.u64(header, EHDR.sections)), size * count);
  const place = (index: number, field: number): number =>
    Number(read.u64(sections!, index * size + field));
  const all = sections === undefined ? [] : Array.from({ length: count }, (_, index) => index);
  const nameTable = read.u16(header, EHDR.names);
  const names = all.includes(nameTable)
    ? mapFile(fd, place(nameTable, SHDR.offset), place(nameTable, SHDR.size))
    : undefined;
  libc.close(fd);
  if (names === undefined) return nowhere;
  const found = all.find((index) => {
    const name = read.u32(sections!, index * size + SHDR.name);
    return [...`${PROGRAM_SECTION}\0`].every((char, i) =>
      read.u8(names, name + i) === char.charCodeAt(0)
    );
  });
  if (found === undefined) return nowhere;
  const base = read.u16(header, EHDR.type) === ET_DYN ? header : 0;
  const start = base + place(found, SHDR.address);
  const end = start + place(found, SHDR.size);
  return { from: Math.ceil(start / PAGE) * PAGE, to: Math.floor(end / PAGE) * PAGE };
}

/** Where `length` bytes of a file at `offset` can be read, until the process ends; undefined if they cannot. */
function mapFile(fd: number, offset: number, length: number): Pointer | undefined {
  const lead = offset % PAGE;
  const address = libc.mmap(null, lead + length, PROT_READ, MAP_PRIVATE, fd, offset - lead);
  // -1 comes back as a number no address has.
  const isRefused = address === null || Number(address) < 0 || Number(address) >= 2 ** 63;
  return isRefused ? undefined : (Number(address) + lead) as Pointer;
}

function readMaps(): string {
  const fd = libc.open(cString("/proc/self/maps").pointer, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return "";
  const text = new Memory(MAPS_BYTES);
  let used = 0;
  while (used < MAPS_BYTES) {
    const count = libc.read(fd, text.at(used), MAPS_BYTES - used);
    if (count <= 0) break;
    used += count;
  }
  libc.close(fd);
  return new TextDecoder().decode(text.bytes.subarray(0, used));
}
