/** A lint's view of this machine, or of none. */

import { readFileSync, realpathSync, statSync } from "node:fs";
import { networkInterfaces } from "node:os";
import type { World } from "../config/world.ts";
import type { Files } from "../config/files.ts";

/**
 * Files, owners, links and users of this machine. Offline only the files are, for a configuration that is
 * meant for another one.
 */
export function systemWorld(files: Files, isOffline = false): World {
  if (isOffline) {
    return {
      ...files,
      hasLink: () => true,
      isHere: false,
      inspect: () => undefined,
      realPath: () => undefined,
      addressesOf: () => [],
      userId: () => undefined,
      nameOf: (_kind, id) => `${id}`,
    };
  }
  let links: ReturnType<typeof networkInterfaces> | undefined;
  return {
    ...files,
    isHere: true,
    inspect(path): ReturnType<World["inspect"]> {
      try {
        const found = statSync(path);
        const kind = found.isFile() ? "file" : found.isDirectory() ? "directory" : "other";
        return { kind, uid: found.uid, gid: found.gid, mode: found.mode & 0o7777 };
      } catch {
        return undefined;
      }
    },
    realPath(path): string | undefined {
      try {
        return realpathSync(path);
      } catch {
        return undefined;
      }
    },
    addressesOf: (link) =>
      ((links ??= networkInterfaces())[link] ?? []).map(({ cidr, address }) => cidr ?? address)
        .filter((address) => !address.startsWith("fe80:")),
    userId(name): number | undefined {
      const id = lookUp("passwd", name)?.[2];
      return id === undefined ? undefined : Number(id);
    },
    nameOf: (kind, id) => lookUp(kind === "user" ? "passwd" : "group", id)?.[0] ?? `${id}`,
  };
}

/** A row of a database of users or groups, by name or number. */
function lookUp(database: "passwd" | "group", key: string | number): readonly string[] | undefined {
  const column = typeof key === "number" ? 2 : 0;
  const find = (text: string): readonly string[] | undefined =>
    text.split("\n").map((line) => line.split(":")).find((row) => row[column] === `${key}`);
  try {
    const row = find(readFileSync(`/etc/${database}`, "utf8"));
    if (row !== undefined) return row;
  } catch {
    // It may come from elsewhere.
  }
  const getent = Bun.which("getent");
  if (getent === null) return undefined;
  const { success, stdout } = Bun.spawnSync([getent, "--", database, `${key}`]);
  return success ? find(stdout.toString()) : undefined;
}
