/**
 * Giving back the pages that only the start has used. The runtime touches some 20 MiB of its code and
 * constants on its way to our first line; a process that then waits for years need not hold them.
 */

import { O_CLOEXEC, O_RDONLY } from "./constants.ts";
import { libc } from "./libc.ts";
import { cString, Memory } from "./memory.ts";

const MADV_DONTNEED = 4; // bits/mman-linux.h
const MAPS_BYTES = 128 * 1024;
const PATH_BYTES = 4096;

/**
 * Drops the code of our executable, and the constants at its start, from this process's memory; what is
 * still needed comes back from the page cache when it is touched. Only mappings nobody can have
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
  }
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
