/** The rows of global_defs that come once for each process, socket or named pipe. */
import { alias, bool, flag, formatScript, integer, readScript } from "./readers.ts";
import { complain, firstWord, type LineRow, readInteger } from "./schema.ts";
import type { Script } from "./vrrp.ts";
import { quote } from "./words.ts";

/** An identity for scripts, by name. */
export interface ScriptUser {
  readonly user: string;
  /** A leading ":" (kept) also loads the supplementary groups. */
  readonly group?: string;
}

/** A named pipe and who owns it. */
export interface Fifo extends Partial<ScriptUser> {
  readonly path: string;
}

const UINT_MAX = 4_294_967_295;
const INT_MAX = 2_147_483_647;
const INT_MIN = -2_147_483_648;

const notBool = (keyword: string) => (text: string): string =>
  `Invalid value '${text}' for global ${keyword} specified`;

/** Scheduling of one kind of process. */
export type RoleRows<P extends string> =
  & { readonly [K in `${P}_priority` | `${P}_rt_priority`]: () => LineRow<number | undefined> }
  & { readonly [K in `${P}_no_swap`]: () => LineRow<boolean> }
  & { readonly [K in `${P}_cpu_affinity`]: () => LineRow<readonly number[] | undefined> }
  & { readonly [K in `${P}_rlimit_rttime`]: () => LineRow<number | undefined> }
  & {
    readonly [K in `${P}_rlimit_rtime`]: () => LineRow<number | undefined> & {
      readonly aliasOf: `${P}_rlimit_rttime`;
    };
  };

/** Rows for the scheduling of a process; `whose` it is that heeds them, `usual` its nice value. */
export function roleRows<const P extends string>(
  role: P,
  whose: string,
  usual: number | string,
): RoleRows<P> {
  const limit = (doc: string): LineRow<number | undefined> =>
    integer(doc, undefined, {
      min: 1,
      max: UINT_MAX,
      says: (text) => `Invalid ${role} real-time limit - ${text}`,
    });
  return {
    [`${role}_priority`]: () => nice(role, whose, usual),
    [`${role}_no_swap`]: () => flag(`- keep ${whose} in memory; default off`),
    [`${role}_rt_priority`]: () => realTime(role, whose),
    [`${role}_cpu_affinity`]: () => affinity(role, whose),
    [`${role}_rlimit_rttime`]: () =>
      limit(
        `USECS - longest run of ${whose} without a pause when it is real-time; ` +
          "range 1..4294967295; default 1000000",
      ),
    [`${role}_rlimit_rtime`]: () =>
      alias(
        `${role}_rlimit_rttime`,
        limit(`USECS - former spelling of ${role}_rlimit_rttime; range 1..4294967295`),
      ),
  } as unknown as RoleRows<P>;
}

function nice(role: string, whose: string, usual: number | string): LineRow<number | undefined> {
  const doc = `NICE - nice value of ${whose}; range -20..19; default ${usual}`;
  return {
    ...integer(doc, undefined, { min: -20, max: 19 }),
    read: (node, context) => {
      const says = `Invalid ${role} process priority specified`;
      const first = firstWord(node, context, `No ${role} process priority specified`);
      if (first === undefined) return undefined;
      const value = readInteger(node, 1, context, { min: INT_MIN, max: INT_MAX });
      if (value === undefined) complain(context, node, "general", says, 1);
      // What the kernel does with values beyond its range.
      return value === undefined ? undefined : Math.max(-20, Math.min(19, value));
    },
  };
}

function realTime(role: string, whose: string): LineRow<number | undefined> {
  const doc = `N - real-time priority of ${whose}; range 1..99; default off`;
  const name = `${role} process real-time priority`;
  return {
    ...integer(doc, undefined, { min: 1, max: 99 }),
    read: (node, context) => {
      const first = firstWord(node, context, `No ${name} specified`);
      if (first === undefined) return undefined;
      const value = readInteger(node, 1, context, { min: INT_MIN, max: INT_MAX });
      const say = (message: string): void => complain(context, node, "general", message, 1);
      if (value === undefined) say(`${name} '${first}' invalid`);
      else if (value < 1) say(`${name} ${value} less than minimum 1 - setting to minimum`);
      else if (value > 99) say(`${name} ${value} greater than maximum 99 - setting to maximum`);
      return value === undefined ? undefined : Math.max(1, Math.min(99, value));
    },
  };
}

function affinity(role: string, whose: string): LineRow<readonly number[] | undefined> {
  return {
    doc: `CPU ... - processors ${whose} may use; range 0..online-1; default all`,
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      if (firstWord(node, context, `No ${role} cpu_id set specified`) === undefined) {
        return undefined;
      }
      const cpus: number[] = [];
      for (let at = 1; at < node.words.length; at++) {
        const cpu = readInteger(node, at, context, { min: 0, max: context.files.cpuCount - 1 });
        if (cpu === undefined) {
          const message = `Invalid cpu_id:${node.words[at]} specified for ${role} process`;
          complain(context, node, "general", message, at);
          return undefined;
        }
        cpus.push(cpu);
      }
      return cpus;
    },
    format: (value) => value === undefined ? [] : [value.join(" ")],
  };
}

/** The receive buffer of one socket. */
export type BufferRows<P extends string> =
  & { readonly [K in `${P}_rcv_bufs`]: () => LineRow<number | undefined> }
  & { readonly [K in `${P}_rcv_bufs_force`]: () => LineRow<boolean | undefined> };

/** Rows for the receive buffer of a socket, and what that is when nobody says. */
export function bufferRows<const P extends string>(
  socket: P,
  what: string,
  usual = "the kernel's",
): BufferRows<P> {
  const name = `${socket}_rcv_bufs`;
  return {
    [name]: () =>
      integer(
        `BYTES - receive buffer of ${what}; range 0..4294967295; default ${usual}`,
        undefined,
        {
          min: 0,
          max: UINT_MAX,
          missing: `${name} size missing`,
          says: (text) => `${name} size (${text}) invalid`,
        },
      ),
    [`${name}_force`]: () =>
      bool(
        `[BOOL] - exceed the kernel's limit for ${name}; default off`,
        notBool(`${name}_force`),
      ),
  } as unknown as BufferRows<P>;
}

/** A named pipe and the script that reads it. */
export type FifoRows<P extends string> =
  & { readonly [K in P]: () => LineRow<Fifo | undefined> }
  & { readonly [K in `${P}_script`]: () => LineRow<Script | undefined> };

/** Rows for a named pipe and its reader. */
export function fifoRows<const P extends string>(
  name: P,
  what: string,
): FifoRows<P> {
  return {
    [name]: () => fifo(name, what),
    [`${name}_script`]: () =>
      onceScript(
        `SCRIPT [USER [[:]GROUP]] - started to read ${name}, whose path it is given; default none`,
        `No ${name}_script specified`,
        `${name}_script`,
      ),
  } as unknown as FifoRows<P>;
}

function fifo(name: string, what: string): LineRow<Fifo | undefined> {
  return {
    doc:
      `PATH [USER [[:]GROUP]] - named pipe that gets ${what}; the first one counts; default none`,
    shape: "line",
    initial: undefined,
    read: (node, context, before) => {
      const path = firstWord(node, context, `No ${name} name specified`);
      if (path === undefined) return undefined;
      if (before !== undefined) {
        complain(context, node, "general", `${name} already specified - ignoring ${path}`, 1);
        return undefined;
      }
      const [, , user, group] = node.words;
      return {
        path,
        ...(user === undefined ? {} : { user }),
        ...(group === undefined ? {} : { group }),
      };
    },
    format: (value) =>
      value === undefined ? [] : [
        [value.path, value.user, value.group].filter((w) => w !== undefined).map(quote).join(" "),
      ],
  };
}

/** A script of which the first one counts. */
export function onceScript(
  doc: string,
  missing: string,
  what: string,
): LineRow<Script | undefined> {
  return {
    doc,
    shape: "line",
    initial: undefined,
    read: (node, context, before) => {
      if (firstWord(node, context, missing) === undefined) return undefined;
      if (before === undefined) return readScript(node, context);
      complain(context, node, "general", `${what} script already specified - ignoring`, 1);
      return undefined;
    },
    format: (value) => value === undefined ? [] : [formatScript(value)],
  };
}
