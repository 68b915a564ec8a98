/**
 * The daemon's log: console, syslog and file, in keepalived's shapes. Lines of every role come through
 * here, each with the ident and process id of the one that said it.
 *
 * LogTape routes them; it is loaded after the roles have been started, and what is said before waits.
 */

import { type LogLevel, severityOf } from "../lib/log.ts";
import { Datagrams } from "../../ffi/datagram.ts";
import { openAppend, syncFile, writeText } from "../../ffi/file.ts";
import { closeDescriptor } from "../../ffi/socket.ts";

const STDERR = 2;

/** Where lines go. */
export interface LogTargets {
  readonly console: boolean;
  readonly syslog: boolean;
  /** As in <syslog.h>. */
  readonly facility: number;
  /** The parent's log file; roles write beside it, with their name before the suffix. */
  readonly file?: string;
  readonly flushFile: boolean;
}

/** Who said a line: the parent or a role. */
export interface Speaker {
  /** "" for the parent, else the role's name as in its syslog ident. */
  readonly role: string;
  readonly pid: number;
}

interface Entry extends Speaker {
  readonly at: Date;
  readonly level: LogLevel;
  readonly text: string;
}

/** The log; one per process that has one. */
export class Log {
  readonly #targets: LogTargets;
  /** What follows every ident in syslog. */
  identSuffix = "";
  readonly #waiting: Entry[] = [];
  readonly #files = new Map<string, number>();
  /** By descriptor the lines that leave together. */
  #held: Map<number, string> | undefined;
  #syslog: Datagrams | undefined;
  #route: ((entry: Entry) => void) | undefined;

  constructor(targets: LogTargets) {
    this.#targets = targets;
  }

  /** One line of a speaker. */
  write(speaker: Speaker, level: LogLevel, text: string): void {
    const entry = { ...speaker, at: new Date(), level, text };
    if (this.#route === undefined) this.#waiting.push(entry);
    else this.#route(entry);
  }

  /** Has what is written during `act` leave with one call for each place, however many lines it is. */
  together(act: () => void): void {
    this.#held ??= new Map();
    try {
      act();
    } finally {
      this.#release();
    }
  }

  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    for (const [fd, text] of held ?? []) this.#put(fd, text);
  }

  /** Loads the logging library and writes what has waited. */
  async open(): Promise<void> {
    if (this.#route !== undefined) return;
    const { configureSync, getLogger } = await import("@logtape/logtape");
    const sinks = this.#sinks();
    configureSync({
      reset: true,
      sinks: Object.fromEntries(
        Object.entries(sinks).map(([name, sink]) => [
          name,
          (record) => sink(record.properties as unknown as Entry),
        ]),
      ),
      loggers: [
        { category: "upkeep", lowestLevel: "debug", sinks: Object.keys(sinks) },
        { category: ["logtape", "meta"], lowestLevel: "fatal", sinks: [] },
      ],
    });
    const logger = getLogger("upkeep");
    this.#route = (entry) => {
      const properties = { ...entry };
      // The text is data, never a template: braces in it must stay as they are.
      if (entry.level === "notice") logger.info("{text}", properties);
      else logger[entry.level]("{text}", properties);
    };
    for (const entry of this.#waiting.splice(0)) this.#route(entry);
  }

  /** Writes what still waits, without the library, and closes the files. For a process that ends. */
  close(): void {
    const sinks = Object.values(this.#sinks());
    for (const entry of this.#waiting.splice(0)) {
      for (const sink of sinks) sink(entry);
    }
    this.#release();
    for (const fd of this.#files.values()) if (fd >= 0) closeDescriptor(fd);
    this.#files.clear();
  }

  #sinks(): Record<string, (entry: Entry) => void> {
    const { console, syslog, file } = this.#targets;
    return {
      ...(console ? { console: (entry): void => this.#toConsole(entry) } : {}),
      ...(syslog ? { syslog: (entry): void => this.#toSyslog(entry) } : {}),
      ...(file === undefined ? {} : { file: (entry): void => this.#toFile(file, entry) }),
    };
  }

  #toConsole(entry: Entry): void {
    this.#put(STDERR, `${consoleTime(entry.at)}: ${entry.text}\n`);
  }

  #toSyslog(entry: Entry): void {
    const priority = this.#targets.facility * 8 + severityOf(entry.level);
    const ident = entry.role === "" ? "Keepalived" : `Keepalived_${entry.role}`;
    const said = `${ident}${this.identSuffix}`;
    const line = `<${priority}>${syslogTime(entry.at)} ${said}[${entry.pid}]: ${entry.text}`;
    this.#syslog ??= new Datagrams("/dev/log");
    this.#syslog.send(line);
  }

  #toFile(base: string, entry: Entry): void {
    const path = entry.role === "" ? base : withSuffix(base, entry.role);
    let fd = this.#files.get(path);
    if (fd === undefined) {
      try {
        fd = openAppend(path);
      } catch {
        fd = -1;
      }
      this.#files.set(path, fd);
    }
    if (fd >= 0) this.#put(fd, `${consoleTime(entry.at)}: ${entry.text}\n`);
  }

  #put(fd: number, text: string): void {
    if (this.#held !== undefined) this.#held.set(fd, (this.#held.get(fd) ?? "") + text);
    else writeAll(fd, text, fd !== STDERR && this.#targets.flushFile);
  }
}

/** A log that nobody can read any more must not end the daemon. */
function writeAll(fd: number, text: string, isFlushed: boolean): void {
  try {
    writeText(fd, text);
    if (isFlushed) syncFile(fd);
  } catch {
    // A closed pipe or a full disk: the line is lost, the addresses are not.
  }
}

/** `name_role.log` for `name.log`. */
function withSuffix(path: string, role: string): string {
  const dot = path.lastIndexOf(".");
  const end = dot > path.lastIndexOf("/") ? dot : path.length;
  return `${path.slice(0, end)}_${role}${path.slice(end)}`;
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

function clock(at: Date): string {
  return [at.getHours(), at.getMinutes(), at.getSeconds()]
    .map((part) => String(part).padStart(2, "0")).join(":");
}

function day(at: Date): string {
  return `${MONTHS[at.getMonth()]} ${String(at.getDate()).padStart(2, " ")}`;
}

/** As ctime(3): `Fri Nov 20 08:04:51 2026`. */
function consoleTime(at: Date): string {
  return `${DAYS[at.getDay()]} ${day(at)} ${clock(at)} ${at.getFullYear()}`;
}

/** RFC 3164 §4.1.2: `Nov 20 08:04:51`. */
function syslogTime(at: Date): string {
  return `${day(at)} ${clock(at)}`;
}
