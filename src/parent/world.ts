/** This machine as those see it who look beyond files: owners, links, users; or none at all. */

import type { World } from "../config/world.ts";
import type { Files } from "../config/files.ts";
import { findGroup, findUser } from "./users.ts";

/**
 * Files, owners, links and users of this machine. Offline only the files are, for a configuration that is
 * meant for another one.
 */
export function systemWorld(files: Files, isOffline = false): World {
  if (isOffline) {
    return {
      ...files,
      hasLink: () => true,
      linkBelow: (link) => link,
      isHere: false,
      inspect: () => undefined,
      realPath: () => undefined,
      addressesOf: () => [],
      userId: () => undefined,
      nameOf: (_kind, id) => `${id}`,
    };
  }
  // Few configurations ask any of this, and all that are tested would wait for the modules.
  const fs = (): typeof import("node:fs") => process.getBuiltinModule("node:fs");
  const os = (): typeof import("node:os") => process.getBuiltinModule("node:os");
  let links: ReturnType<ReturnType<typeof os>["networkInterfaces"]> | undefined;
  return {
    ...files,
    isHere: true,
    inspect(path): ReturnType<World["inspect"]> {
      try {
        const found = fs().statSync(path);
        const kind = found.isFile() ? "file" : found.isDirectory() ? "directory" : "other";
        return { kind, uid: found.uid, gid: found.gid, mode: found.mode & 0o7777 };
      } catch {
        return undefined;
      }
    },
    realPath(path): string | undefined {
      try {
        return fs().realpathSync(path);
      } catch {
        return undefined;
      }
    },
    addressesOf: (link) =>
      ((links ??= os().networkInterfaces())[link] ?? []).map(({ cidr, address }) => cidr ?? address)
        .filter((address) => !address.startsWith("fe80:")),
    userId(name): number | undefined {
      return findUser(name)?.uid;
    },
    nameOf: (kind, id) => (kind === "user" ? findUser(id) : findGroup(id))?.name ?? `${id}`,
  };
}
