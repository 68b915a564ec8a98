/**
 * The daemon's command line: one table with every option of keepalived, and its reading into a
 * plain value.
 *
 * A row says how the option is written, what it is for and, once it does something, what it sets.
 * An option without that is accepted with a line in the log, so that no start command of keepalived
 * is ever refused.
 */
import { type OptionSpec, parseOptions } from "./getopt.ts";

/** What the command line asks of the daemon. Plain JSON. */
export interface DaemonOptions {
  /** A path or a glob pattern. */
  readonly configFile: string;
  /** Stay in the foreground. */
  readonly dontFork: boolean;
  /** Log lines also go to the console. */
  readonly logConsole: boolean;
  readonly noSyslog: boolean;
  /** How often `-D` was given, 2 at most. */
  readonly logDetail: 0 | 1 | 2;
  /** Log the configuration at start. */
  readonly dumpConf: boolean;
  /** Check the configuration and leave; the report goes to `file`, else to standard error. */
  readonly configTest: { readonly file?: string } | undefined;
  /** `-P`: no checkers. With `checkOnly` as well neither runs, as in keepalived. */
  readonly vrrpOnly: boolean;
  /** `-C`: no VRRP. */
  readonly checkOnly: boolean;
  /** `-B`: no BFD sessions. */
  readonly noBfd: boolean;
  /** Start every role, even one the configuration has no work for. */
  readonly allRoles: boolean;
  readonly pidFile: string;
  readonly vrrpPidFile: string;
  readonly checkersPidFile: string;
  readonly bfdPidFile: string;
  /** Log to a file too; without `file`, to keepalived.log in the folder for temporary files. */
  readonly logFile: { readonly file?: string } | undefined;
  /** Flush the log file after each line. */
  readonly flushLogFile: boolean;
  /** As in <syslog.h>: 16 to 23 for local0 to local7, 1 for user, 3 for daemon. */
  readonly logFacility: number;
  /** 0 to 0o777; undefined leaves it to the configuration. */
  readonly umask: number | undefined;
  /** The end of a role ends the daemon. */
  readonly dontRespawn: boolean;
  /** Drop the addresses when a signal ends MASTER. */
  readonly releaseVips: boolean;
  /** Leave addresses, routes and rules in place at stop. */
  readonly dontReleaseVrrp: boolean;
  /** Leave the IPVS table in place at stop. */
  readonly dontReleaseIpvs: boolean;
  /** The network namespace to run in; undefined leaves it to the configuration. */
  readonly namespace: string | undefined;
  /** What `@ID` lines match; undefined means the host name up to its first dot. */
  readonly configId: string | undefined;
  /** Every check on included files is on. */
  readonly allConfig: boolean;
  /** The signal number to print before leaving with 0. */
  readonly signum: number | undefined;
  readonly ignoreSigint: boolean;
  /** Print the version and leave with 0. */
  readonly version: boolean;
  /** Print the usage and leave with 0. */
  readonly help: boolean;
  /** The options given that have no effect yet, as `--NAME`, each once. */
  readonly unbuilt: readonly string[];
  /** Lines to log: nothing here ends the daemon. */
  readonly notices: readonly string[];
  /**
   * Lines for standard error. Any of them ends the daemon with 1, unless `version`, `help` or
   * `signum` is set, which then is served first.
   */
  readonly errors: readonly string[];
}

/** What a row makes of its value ("" when there is none), given the options read so far. */
type Read = (value: string, before: DaemonOptions) => Partial<DaemonOptions>;

/** One option of the daemon. */
export interface DaemonOption extends OptionSpec {
  /** As the usage shows it: `-p, --pid=FILE`. */
  readonly usage: string;
  /** One line. */
  readonly purpose: string;
  /** False: accepted, and has no effect yet. */
  readonly built: boolean;
  /** Present if built. */
  readonly read?: Read;
}

/** Options that belong together in the usage. */
export interface OptionGroup {
  readonly title: string;
  readonly options: readonly DaemonOption[];
}

const defaults: DaemonOptions = {
  configFile: "/etc/keepalived/keepalived.conf",
  dontFork: false,
  logConsole: false,
  noSyslog: false,
  logDetail: 0,
  dumpConf: false,
  configTest: undefined,
  vrrpOnly: false,
  checkOnly: false,
  noBfd: false,
  allRoles: false,
  pidFile: "/run/keepalived.pid",
  vrrpPidFile: "/run/vrrp.pid",
  checkersPidFile: "/run/checkers.pid",
  bfdPidFile: "/run/bfd.pid",
  logFile: undefined,
  flushLogFile: false,
  logFacility: 3,
  umask: undefined,
  dontRespawn: false,
  releaseVips: false,
  dontReleaseVrrp: false,
  dontReleaseIpvs: false,
  namespace: undefined,
  configId: undefined,
  allConfig: false,
  signum: undefined,
  ignoreSigint: false,
  version: false,
  help: false,
  unbuilt: [],
  notices: [],
  errors: [],
};

/** keepalived's names of what a signal asks for, with Linux's numbers under glibc. */
const signals: ReadonlyMap<string, number> = new Map([
  ["STOP", 15],
  ["RELOAD", 1],
  ["DATA", 10],
  ["STATS", 12],
  ["STATS_CLEAR", 63],
  ["JSON", 36],
  ["TDUMP", 64],
  ["TDATA", 64],
]);

/** The number of the signal that asks for `name`; undefined for a name keepalived lacks. */
export function signalNumber(name: string): number | undefined {
  return signals.get(name);
}

/** The options shown in the usage, in its order. */
export const optionGroups: readonly OptionGroup[] = [
  {
    title: "Configuration",
    options: [
      row(
        "-f, --use-file=FILE",
        `file or pattern to read (${defaults.configFile})`,
        (configFile) => ({ configFile }),
      ),
      row(
        "-t, --config-test[=LOGFILE]",
        "check the configuration, report on stderr or in LOGFILE, leave",
        (file) => ({
          configTest: file === "" ? {} : { file },
          dontFork: true,
          dontRespawn: true,
          noSyslog: true,
        }),
      ),
      row(
        "-i, --config-id=ID",
        "keep lines marked @ID, drop lines marked @^ID (host name)",
        (configId) => ({ configId }),
      ),
      row(
        "-e, --all-config",
        "insist that included files match, exist and are readable",
        on("allConfig"),
      ),
      row("-d, --dump-conf", "log the configuration as understood", on("dumpConf")),
    ],
  },
  {
    title: "What runs, and where",
    options: [
      row("-n, --dont-fork", "stay in the foreground", on("dontFork")),
      row("-P, --vrrp", "run VRRP, not the checkers", on("vrrpOnly")),
      row("-C, --check", "run the checkers, not VRRP", on("checkOnly")),
      row("-B, --no_bfd", "run no BFD", on("noBfd")),
      row("    --all", "run every role, even one with nothing to do", on("allRoles")),
      row("-R, --dont-respawn", "end when a role ends", on("dontRespawn")),
      row(
        "-s, --namespace=NAME",
        "run in this network namespace",
        (namespace) => ({ namespace }),
      ),
      row("-x, --snmp", "answer SNMP"),
      row("-A, --snmp-agent-socket=ADDRESS", "where the AgentX master listens"),
      row("-a, --address-monitoring", "log every address that comes or goes"),
    ],
  },
  {
    title: "Logs",
    options: [
      row("-l, --log-console", "log to the console too", on("logConsole")),
      row("-D, --log-detail", "log more, given twice still more", (_, { logDetail }) => ({
        logDetail: logDetail === 0 ? 1 : 2,
      })),
      row(
        "-S, --log-facility=FACILITY",
        "0-7, local0-local7, user or daemon (daemon)",
        readFacility,
      ),
      row(
        "-g, --log-file[=FILE]",
        "log to a file too (keepalived.log in $TMPDIR)",
        (file) => ({ logFile: file === "" ? {} : { file } }),
      ),
      row("    --flush-log-file", "flush that file after each line", on("flushLogFile")),
      row("-G, --no-syslog", "keep out of syslog", on("noSyslog")),
    ],
  },
  {
    title: "Stopping",
    options: [
      row("-X, --release-vips", "drop the addresses when a signal ends MASTER", on("releaseVips")),
      row(
        "-V, --dont-release-vrrp",
        "leave addresses, routes and rules in place",
        on("dontReleaseVrrp"),
      ),
      row("-I, --dont-release-ipvs", "leave the IPVS table in place", on("dontReleaseIpvs")),
      row("    --ignore-sigint", "carry on after SIGINT, for debuggers", on("ignoreSigint")),
    ],
  },
  {
    title: "Files",
    options: [
      row("-p, --pid=FILE", `pid of the parent (${defaults.pidFile})`, (pidFile) => ({ pidFile })),
      row(
        "-r, --vrrp_pid=FILE",
        `pid of the VRRP role (${defaults.vrrpPidFile})`,
        (vrrpPidFile) => ({ vrrpPidFile }),
      ),
      row(
        "-c, --checkers_pid=FILE",
        `pid of the checkers (${defaults.checkersPidFile})`,
        (checkersPidFile) => ({ checkersPidFile }),
      ),
      row(
        "-b, --bfd_pid=FILE",
        `pid of the BFD role (${defaults.bfdPidFile})`,
        (bfdPidFile) => ({ bfdPidFile }),
      ),
      row("-u, --umask=MASK", "umask of the files we make, as C writes numbers (0177)", readUmask),
    ],
  },
  {
    title: "Debugging",
    options: [
      row("-m, --core-dump", "allow core files"),
      row("-M, --core-dump-pattern[=PATTERN]", "the same, and name them (core)"),
      row("    --no-mem-check", "check no allocations"),
      row("-L, --mem-check-log", "log allocations"),
      row("-O, --openssl-mem-check", "check the allocations of OpenSSL"),
      row("    --perf[=run|all|end]", "record performance data"),
      row("    --debug[=LETTERS]", "debug these topics"),
    ],
  },
  {
    title: "Instead of running",
    options: [
      row(
        "    --signum=NAME",
        `signal for ${[...signals.keys()].slice(0, -1).join(" ")}`,
        readSignum,
        "last",
      ),
      // What follows belongs to another program, so it must not be taken for our options.
      row("-T, --genhash", "act as genhash", undefined, "last"),
      row("-v, --version", "print the version", on("version"), "last"),
      row("-h, --help", "print this", on("help"), "last"),
    ],
  },
];

/** Every option, those left out of the usage included. */
export const daemonOptions: readonly DaemonOption[] = [
  ...optionGroups.flatMap(({ options }) => options),
  row("    --config-fd=N", "write the merged configuration to descriptor N"),
];

/** Reads the words after `argv0`, which opens each error. Never throws. */
export function readDaemonOptions(argv0: string, words: readonly string[]): DaemonOptions {
  const { settings, surplus, errors } = parseOptions(daemonOptions, [argv0, ...words]);
  const start: DaemonOptions = { ...defaults, errors };
  const read = settings.reduce((before: DaemonOptions, { option, value }) => {
    // `-p ""`, as a start script with an unset variable writes it: as if not given.
    if (value === "") return before;
    const change = option.read?.(value ?? "", before) ?? skip(option, before);
    return { ...before, ...change };
  }, start);
  const genhash = read.unbuilt.includes("--genhash") || /(^|\/)genhash$/.test(argv0);
  return {
    ...read,
    notices: surplus.length === 0
      ? read.notices
      : [...read.notices, `Unexpected argument(s): ${surplus.join(" ")}`],
    // To start the daemon when a page digest was asked for would be the worst of answers.
    errors: genhash ? [...read.errors, `${argv0}: genhash is not available yet`] : read.errors,
  };
}

/** A row from its usage text, `-p, --pid=FILE`: a value in brackets is optional. */
function row(usage: string, purpose: string, read?: Read, last?: "last"): DaemonOption {
  const [, short, long = "", bracket, equals] = /^(?:-(.), | {4})--([\w-]+)(\[)?(=)?/.exec(usage) ??
    [];
  return {
    long,
    value: bracket ? "optional" : equals ? "required" : "none",
    usage,
    purpose,
    built: read !== undefined,
    ...(short === undefined ? {} : { short }),
    ...(read === undefined ? {} : { read }),
    ...(last === undefined ? {} : { last: true }),
  };
}

/** The names of the options that are a plain yes. */
type Flag = {
  [Name in keyof DaemonOptions]: DaemonOptions[Name] extends boolean ? Name : never;
}[keyof DaemonOptions];

function on(name: Flag): Read {
  return () => ({ [name]: true });
}

function skip({ long }: DaemonOption, { unbuilt, notices }: DaemonOptions): Partial<DaemonOptions> {
  const name = `--${long}`;
  if (unbuilt.includes(name)) return {};
  return {
    unbuilt: [...unbuilt, name],
    notices: [...notices, `Option ${name} is accepted but has no effect yet`],
  };
}

/** <syslog.h>: LOG_USER is 1, LOG_DAEMON 3, LOG_LOCAL0 16. */
function readFacility(name: string, { notices }: DaemonOptions): Partial<DaemonOptions> {
  if (name === "user") return { logFacility: 1 };
  if (name === "daemon") return { logFacility: 3 };
  const local = /^(?:local)?0*([0-7])$/.exec(name)?.[1];
  if (local !== undefined) return { logFacility: 16 + Number(local) };
  const known = "0 to 7, local0 to local7, user and daemon";
  return { notices: [...notices, `Invalid log facility '${name}', known are ${known}`] };
}

/** As strtol reads a number in base 0: 0x opens a hexadecimal one, 0 an octal one. */
function readUmask(text: string, { notices }: DaemonOptions): Partial<DaemonOptions> {
  const [, hexadecimal, octal, decimal] =
    /^\s*\+?(?:0x([\da-f]+)|(0[0-7]*)|([1-9]\d*))$/i.exec(text) ?? [];
  const umask = hexadecimal !== undefined
    ? Number.parseInt(hexadecimal, 16)
    : octal !== undefined
    ? Number.parseInt(octal, 8)
    : Number(decimal);
  if (umask <= 0o777) return { umask };
  return { notices: [...notices, `Invalid umask '${text}', 0 to 0777 is possible`] };
}

function readSignum(name: string, { errors }: DaemonOptions): Partial<DaemonOptions> {
  const signum = signalNumber(name);
  if (signum !== undefined) return { signum };
  const known = [...signals.keys()].join(" ");
  return { errors: [...errors, `Unknown sigfunc ${name}, known are ${known}`] };
}
