/**
 * What a lint may ask of the system beside what reading needs, as one value: who owns a file, which
 * addresses the links have. A start never asks.
 */
import { type Files, memoryFiles } from "./files.ts";

/** What a path names, symbolic links followed. */
export interface Owned {
  readonly kind: "file" | "directory" | "other";
  readonly uid: number;
  readonly gid: number;
  /** The permission bits, set-id and sticky bits included. */
  readonly mode: number;
}

/** The outside world as a lint sees it. */
export interface World extends Files {
  /** Whether the configuration is for the machine that answers. */
  readonly isHere: boolean;
  /** Owner and permissions; undefined when nothing is there, or it cannot be known. */
  inspect(path: string): Owned | undefined;
  /** The path with every symbolic link resolved; undefined when nothing is there. */
  realPath(path: string): string | undefined;
  /** The addresses of a link as ADDR/LEN. */
  addressesOf(link: string): readonly string[];
  /** The number of a user; undefined when there is no such user. */
  userId(name: string): number | undefined;
  /** The name of a user or group, or its number when it has none. */
  nameOf(kind: "user" | "group", id: number): string;
}

/** A `World` for tests: paths with owner and mode, links with addresses, users by name. */
export function memoryWorld(
  texts: Readonly<Record<string, string>>,
  rest: Partial<World> & {
    readonly owned?: Readonly<Record<string, Owned>>;
    readonly addresses?: Readonly<Record<string, readonly string[]>>;
    readonly users?: Readonly<Record<string, number>>;
  } = {},
): World {
  const { owned = {}, addresses = {}, users = { root: 0 }, ...others } = rest;
  const names = new Map(Object.entries(users).map(([name, id]) => [id, name]));
  return {
    ...memoryFiles(texts, { hasLink: () => true }),
    isHere: true,
    inspect: (path) => owned[path],
    realPath: (path) => owned[path] === undefined ? undefined : path,
    addressesOf: (link) => addresses[link] ?? [],
    userId: (name) => users[name],
    nameOf: (_kind, id) => names.get(id) ?? `${id}`,
    ...others,
  };
}
