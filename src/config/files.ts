/**
 * What reading a configuration needs from the outside, as one value: the readers of this folder
 * never touch the system themselves, so a test, a preview or an embedded configuration hands in
 * its own.
 */

/** What kind of thing a path names; `executable` is true when any execute bit is set. */
export interface FileStat {
  readonly kind: "file" | "directory" | "other";
  readonly executable: boolean;
  /** Group or others may read it. */
  readonly isOpenToOthers?: boolean;
}

/** The outside world as the configuration sees it. Paths are absolute. */
export interface Files {
  /**
   * The content of a file (text is UTF-8), or the reason it cannot be read (`strerror` text). `bytes` asks for
   * what is there, whether it is text or not.
   */
  read(path: string, bytes?: "bytes"): string | Uint8Array | { readonly error: string };
  /** The names in a directory, any order, without `.` and `..`; undefined when unreadable. */
  list(directory: string): readonly string[] | undefined;
  /** What a path names, symbolic links followed; undefined when nothing is there. */
  stat(path: string): FileStat | undefined;
  /** The value of an environment variable. */
  environment(name: string): string | undefined;
  /** Whether a network link of this name exists now. */
  hasLink(name: string): boolean;
  /** The link on whose wire this one is: what a macvlan or ipvlan lies upon, else itself. */
  linkBelow(name: string): string;
  /** How many processors are online. */
  readonly cpuCount: number;
  /** The host's node name, in full. */
  readonly hostName: string;
  /** The value of `-i`; undefined means the host name up to its first dot. */
  readonly configId: string | undefined;
  /** The directory relative names start from. */
  readonly cwd: string;
  /** Whether `-e` asked for every include check. */
  readonly allIncludeChecks: boolean;
  /** Seeds `${_RANDOM}`: any integer. */
  readonly randomSeed: number;
}

/** A `Files` over a record of path to text, for tests and embedded configurations. */
export function memoryFiles(
  texts: Readonly<Record<string, string | Uint8Array>>,
  rest: Partial<Files> & { readonly links?: readonly string[] } = {},
): Files {
  const { links = ["eth0"], ...others } = rest;
  const paths = Object.keys(texts);
  return {
    read: (path) => texts[path] ?? { error: "No such file or directory" },
    list: (directory) => {
      const prefix = directory === "/" ? "/" : `${directory}/`;
      const below = paths.filter((path) => path.startsWith(prefix));
      if (below.length === 0) return undefined;
      return [...new Set(below.map((path) => path.slice(prefix.length).split("/")[0]!))];
    },
    stat: (path) => {
      if (texts[path] !== undefined) return { kind: "file", executable: false };
      const isFolder = path === "/" || paths.some((other) => other.startsWith(`${path}/`));
      return isFolder ? { kind: "directory", executable: true } : undefined;
    },
    environment: () => undefined,
    hasLink: (name) => links.includes(name),
    linkBelow: (name) => name,
    cpuCount: 2,
    hostName: "router.example",
    configId: undefined,
    cwd: "/",
    allIncludeChecks: false,
    randomSeed: 1,
    ...others,
  };
}
