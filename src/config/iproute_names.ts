/**
 * Names that iproute2 gives to numbers: routing tables, protocols, scopes, TOS values, realms and link
 * groups. Packaged files are read first, local ones override them; a few names need no file.
 */
import type { Files } from "./files.ts";

/** What kind of number a name stands for, by the file that lists it. */
export type NameKind =
  | "rt_tables"
  | "rt_protos"
  | "rt_scopes"
  | "rt_dsfield"
  | "rt_realms"
  | "group";

const BUILT_IN: Readonly<Record<NameKind, Readonly<Record<string, number>>>> = {
  rt_tables: { default: 253, main: 254, local: 255 },
  rt_protos: { redirect: 1, kernel: 2, boot: 3, static: 4, keepalived: 18 },
  rt_scopes: { global: 0, site: 200, link: 253, host: 254, nowhere: 255 },
  rt_dsfield: {},
  rt_realms: { cosmos: 0 },
  group: { default: 0 },
};

/** Largest number of each kind. */
const MOST: Readonly<Record<NameKind, number>> = {
  rt_tables: 4_294_967_295,
  rt_protos: 255,
  rt_scopes: 255,
  rt_dsfield: 255,
  rt_realms: 65_535,
  group: 4_294_967_295,
};

/** Looks names up; files are read when the first name of their kind is asked for. */
export class IprouteNames {
  /** Where the packaged files lie. */
  usrDir = "/usr/share/iproute2";
  /** Where the local ones lie. */
  etcDir = "/etc/iproute2";
  readonly #files: Files;
  readonly #known = new Map<NameKind, ReadonlyMap<string, number>>();

  /** `files` gives access to the lists. */
  constructor(files: Files) {
    this.#files = files;
  }

  /** The number that a word is or stands for; undefined when it is none, or too large. */
  find(kind: NameKind, word: string): number | undefined {
    const number = parseCNumber(word);
    if (number !== undefined) return number <= MOST[kind] ? number : undefined;
    const built = BUILT_IN[kind];
    return this.#listed(kind).get(word) ?? (Object.hasOwn(built, word) ? built[word] : undefined);
  }

  #listed(kind: NameKind): ReadonlyMap<string, number> {
    const known = this.#known.get(kind);
    if (known !== undefined) return known;
    const names = new Map<string, number>();
    for (const directory of [this.usrDir, this.etcDir]) {
      this.#read(`${directory}/${kind}`, names);
      const more = this.#files.list(`${directory}/${kind}.d`) ?? [];
      for (const name of more.filter((one) => one.endsWith(".conf")).sort()) {
        this.#read(`${directory}/${kind}.d/${name}`, names);
      }
    }
    this.#known.set(kind, names);
    return names;
  }

  #read(path: string, names: Map<string, number>): void {
    const content = this.#files.read(path);
    if (typeof content !== "string" && !(content instanceof Uint8Array)) return;
    const text = typeof content === "string" ? content : new TextDecoder().decode(content);
    for (const line of text.split("\n")) {
      const [number, name] = line.replace(/#.*/, "").trim().split(/\s+/);
      const value = parseCNumber(number ?? "");
      if (value !== undefined && name !== undefined) names.set(name, value);
    }
  }
}

/** An unsigned number in C notation: 10, 0x0a or 012; undefined for any other text. */
export function parseCNumber(text: string): number | undefined {
  if (/^0[0-7]+$/.test(text)) return parseInt(text, 8);
  return /^([0-9]|[1-9][0-9]+|0[xX][0-9a-fA-F]+)$/.test(text) ? Number(text) : undefined;
}
