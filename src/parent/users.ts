/** Users and groups of this machine: /etc/passwd and /etc/group first, then whatever getent(1) knows. */

import { readText } from "../../ffi/file.ts";

/** A user. */
export interface User {
  readonly name: string;
  readonly uid: number;
  /** Primary group. */
  readonly gid: number;
}

/** A group. */
export interface Group {
  readonly name: string;
  readonly gid: number;
}

/** The user of a name or number; undefined when there is none. */
export function findUser(key: string | number): User | undefined {
  const row = lookUp("passwd", key);
  if (row === undefined) return undefined;
  return { name: row[0]!, uid: Number(row[2]), gid: Number(row[3]) };
}

/** All groups of a user, the primary one first. */
export function groupsOf({ name, gid }: User): number[] {
  const id = Bun.which("id");
  const { success, stdout } = id === null
    ? { success: false, stdout: "" }
    : Bun.spawnSync([id, "-G", "--", name]);
  const all = success ? `${stdout}`.trim().split(" ").map(Number) : [];
  return [gid, ...all.filter((one) => Number.isInteger(one) && one !== gid)];
}

/** The group of a name or number; undefined when there is none. */
export function findGroup(key: string | number): Group | undefined {
  const row = lookUp("group", key);
  return row === undefined ? undefined : { name: row[0]!, gid: Number(row[2]) };
}

/** A row of a database of users or groups, by name or number. */
function lookUp(database: "passwd" | "group", key: string | number): readonly string[] | undefined {
  const column = typeof key === "number" ? 2 : 0;
  const find = (text: string): readonly string[] | undefined =>
    text.split("\n").map((line) => line.split(":")).find((row) => row[column] === `${key}`);
  try {
    const row = find(readText(`/etc/${database}`));
    if (row !== undefined) return row;
  } catch {
    // It may come from elsewhere.
  }
  const getent = Bun.which("getent");
  if (getent === null) return undefined;
  const { success, stdout } = Bun.spawnSync([getent, "--", database, `${key}`]);
  return success ? find(stdout.toString()) : undefined;
}
