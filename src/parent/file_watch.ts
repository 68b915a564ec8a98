/**
 * The files of track_file: each holds a number that counts. The folder is watched, so that a file that is
 * replaced, moved or made later is noticed.
 */

import { existsSync, type FSWatcher, readFileSync, watch, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { TrackFile } from "../config/track.ts";
import type { LogLevel } from "../lib/log.ts";
import type { TrackResult } from "../vrrp/tracking.ts";

const MOST = 2_147_483_647;
const LEAST = -2_147_483_648;

/**
 * The number at the beginning of a text, in the syntax of C: decimal, 0x, or octal with 0. 0 when there is
 * none; undefined when it does not fit into 32 bits.
 */
export function numberIn(text: string): number | undefined {
  const found = /^\s*([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)/.exec(text);
  if (found === null) return 0;
  const [, sign, digits = ""] = found;
  const octal = /^0[0-7]*(?![xX])/.exec(digits);
  const size = octal === null ? Number(digits) : parseInt(octal[0], 8);
  const value = sign === "-" ? 0 - size : size;
  return value >= LEAST && value <= MOST ? value : undefined;
}

/** Between a change and a look, in milliseconds: whoever writes has often only emptied the file so far. */
const SETTLE_MS = 5;
/** An empty file may be about to be written. */
const EMPTY_MS = 20;

/** One file that is watched. */
interface Watched {
  readonly file: TrackFile;
  readonly watcher: FSWatcher | undefined;
  reading: number;
  /** It has changed and will be looked at. */
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** The files that somebody tracks. */
export class FileWatch {
  readonly #say: (level: LogLevel, text: string) => void;
  readonly #tell: (result: TrackResult) => void;
  readonly #watched = new Map<string, Watched>();

  /** `say` takes log lines, `tell` what a file holds now. */
  constructor(
    say: (level: LogLevel, text: string) => void,
    tell: (result: TrackResult) => void,
  ) {
    this.#say = say;
    this.#tell = tell;
  }

  /** From now on these files are watched. */
  configure(files: readonly TrackFile[]): void {
    const wanted = new Map(files.map((one) => [one.name, one]));
    for (const [name, { file, watcher, timer }] of this.#watched) {
      if (wanted.get(name)?.file === file.file) continue;
      watcher?.close();
      clearTimeout(timer);
      this.#watched.delete(name);
    }
    for (const file of wanted.values()) if (!this.#watched.has(file.name)) this.#add(file);
  }

  /** What is known so far. */
  get results(): TrackResult[] {
    return [...this.#watched.values()].map(({ file, reading }) => resultOf(file, reading));
  }

  /** Watches nothing any more. */
  stop(): void {
    this.configure([]);
  }

  #add(file: TrackFile): void {
    this.#makeFile(file);
    const folder = dirname(file.file);
    let watcher: FSWatcher | undefined;
    try {
      watcher = watch(folder, { persistent: false }, (_event, name) => {
        if (name === null || name === basename(file.file)) this.#lookSoon(file.name, SETTLE_MS);
      });
      watcher.on("error", (error) => this.#sayLost(file, error));
    } catch (error) {
      this.#sayLost(file, error);
    }
    const reading = this.#valueOf(file, this.#read(file)) ?? 0;
    const watched = { file, watcher, reading, timer: undefined };
    this.#watched.set(file.name, watched);
    this.#tell(resultOf(file, reading));
  }

  #sayLost({ name, file }: TrackFile, error: unknown): void {
    this.#say("error", `track_file ${name}: ${file} cannot be watched: ${String(error)}`);
  }

  /** `init_file`. */
  #makeFile({ name, file, init_file }: TrackFile): void {
    if (init_file === undefined || (existsSync(file) && !init_file.overwrite)) return;
    try {
      writeFileSync(file, `${init_file.value}\n`);
    } catch (error) {
      this.#say("error", `track_file ${name}: ${file} cannot be made: ${String(error)}`);
    }
  }

  /** Events that come close together are one: the last of them may never be told of. */
  #lookSoon(name: string, ms: number): void {
    const watched = this.#watched.get(name);
    if (watched === undefined || watched.timer !== undefined) return;
    watched.timer = setTimeout(() => {
      watched.timer = undefined;
      const text = this.#read(watched.file);
      if (text === "" && ms === SETTLE_MS) this.#lookSoon(name, EMPTY_MS);
      else this.#look(watched, text);
    }, ms);
  }

  #look(watched: Watched, text: string | undefined): void {
    const reading = this.#valueOf(watched.file, text);
    if (reading === undefined || reading === watched.reading) return;
    watched.reading = reading;
    this.#tell(resultOf(watched.file, reading));
  }

  /** Undefined when there is no file. */
  #read({ file }: TrackFile): string | undefined {
    try {
      return readFileSync(file, "utf8");
    } catch {
      return undefined;
    }
  }

  /** The number in a text; a file that is missing holds 0. Undefined when it is of no use. */
  #valueOf({ name, file }: TrackFile, text = ""): number | undefined {
    const value = numberIn(text);
    if (value === undefined) {
      this.#say("warning", `track_file ${name}: the number in ${file} is out of range - ignoring`);
    }
    return value;
  }
}

function resultOf({ name }: TrackFile, reading: number): TrackResult {
  return { kind: "file", name, reading };
}
