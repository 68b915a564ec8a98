/**
 * text → Config. A start, a reload, a configuration test and a preview all come through here:
 * files → statements → values → what is complete → what one block says about another.
 */
import type { BfdInstance } from "./bfd.ts";
import type { Files } from "./files.ts";
import { completeGlobals, type Globals, withSyncDaemon } from "./globals.ts";
import { completeInstance } from "./instance.ts";
import { IprouteNames } from "./iproute_names.ts";
import {
  completeBfd,
  completeSyncGroups,
  groupsByMember,
  withGroupDefaults,
  withoutWeights,
} from "./members.ts";
import { Parser } from "./parser.ts";
import { type Problem, Problems } from "./problem.ts";
import { root, type WrittenGarpGroup } from "./root.ts";
import type { Ssl, VirtualServer, VirtualServerGroup } from "./lvs.ts";
import { newLvsReading } from "./lvs_reading.ts";
import { completeBalancer } from "./virtual_server.ts";
import type { Context, Mode, Values } from "./schema.ts";
import { readSource } from "./source.ts";
import type { Control } from "./statement.ts";
import type { Route, Rule } from "./route.ts";
import { isLikeSecret, suggest } from "./suggest.ts";
import type { VrrpSyncGroup } from "./sync_group.ts";
import {
  completeScript,
  completeTrackFile,
  completeTrackProcess,
  type TrackFile,
  type TrackProcess,
  type VrrpScript,
} from "./track.ts";
import { validate } from "./validate.ts";
import type { GarpGroup, Linkbeat, UpDownDelay, VirtualAddress, VrrpInstance } from "./vrrp.ts";

const DEFAULT_LINK = "eth0";

const CHILD_WAIT_US = 5_000_000;

/** Everything a configuration says. Plain JSON; what is absent is not there. */
export interface Config {
  readonly globals: Globals;
  readonly vrrp_instances: readonly VrrpInstance[];
  readonly vrrp_sync_groups?: readonly VrrpSyncGroup[];
  readonly vrrp_scripts?: readonly VrrpScript[];
  readonly track_files?: readonly TrackFile[];
  readonly track_processes?: readonly TrackProcess[];
  readonly bfd_instances?: readonly BfdInstance[];
  readonly garp_groups?: readonly GarpGroup[];
  readonly linkbeat_interfaces?: readonly Linkbeat[];
  readonly interface_up_down_delays?: readonly UpDownDelay[];
  readonly static_ipaddress?: readonly VirtualAddress[];
  readonly static_routes?: readonly Route[];
  readonly static_rules?: readonly Rule[];
  readonly track_groups?: readonly TrackGroup[];
  readonly virtual_servers?: readonly VirtualServer[];
  readonly virtual_server_groups?: readonly VirtualServerGroup[];
  readonly ssl?: Ssl;
  /** Root settings that are one value each. */
  readonly daemon?: DaemonSettings;
}

/** Instances that static items refer to. */
export interface TrackGroup {
  readonly name: string;
  readonly group: readonly string[];
}

/** Settings of the processes as a whole, outside global_defs. */
export interface DaemonSettings {
  readonly net_namespace?: string;
  /** Empty is the namespace of process 1. */
  readonly net_namespace_ipvs?: string;
  readonly instance?: string;
  readonly use_pid_dir?: true;
  readonly linkbeat_use_polling?: true;
  readonly namespace_with_ipsets?: true;
  /** How long a process may take to stop, when it is not the default of 5 s. */
  readonly child_wait_time?: number;
}

/** What the files say, keyword by keyword, before defaults from elsewhere. */
export type WrittenConfig = Values<typeof root>;

/** What a start does not need. */
export interface LoadExtras {
  /** Whether to complain about what only upkeep knows. */
  readonly keepalived?: boolean;
  /** Looks at the configuration and adds to the problems, before they are finished. */
  inspect?(loaded: Omit<Loaded, "problems">, problems: Problems): void;
}

/** A configuration with what is wrong with it. */
export interface Loaded {
  readonly config: Config;
  readonly written: WrittenConfig;
  readonly problems: readonly Problem[];
}

/**
 * Reads the file (or glob pattern) at `path` and all it includes. Never throws. With a fatal
 * problem (`isFatal`) the configuration must not be used. Mode "test" refuses numbers with junk
 * behind them that a start takes with a warning.
 */
export function load(
  path: string,
  files: Files,
  mode: Mode = "run",
  extras: LoadExtras = {},
): Loaded {
  const problems = new Problems();
  let control: Control | undefined;
  const context: Context = {
    problems,
    files,
    mode,
    keepalived: extras.keepalived === true,
    prefix: "line",
    who: "",
    protocol: { family: 0, version: 0 },
    lvs: newLvsReading(),
    names: new Map(),
    unsupported: new Set(),
    iproute: new IprouteNames(files),
    control: {
      setIncludeChecks: (names) => control?.setIncludeChecks(names),
      setRandomSeed: (seed) => control?.setRandomSeed(seed),
    },
    isLikeSecret: (keyword) => isLikeSecret(keyword, root),
    suggest: (keyword, block) => suggest(keyword, block, root),
  };
  const parser = new Parser(root, context);
  const fileCount = readSource(path, files, problems, (statement, own) => {
    control = own;
    parser.read(statement);
  });
  const written = parser.finish() as WrittenConfig;
  const config = complete(written, files, problems);
  if (config.globals.dynamic_interfaces) problems.forgive("bad_interface");
  validate(config, files, problems);
  extras.inspect?.({ config, written }, problems);
  const all = problems.finish();
  return { config, written, problems: fileCount > 1 ? all.map(withFile) : all };
}

/** Fills in the defaults: those of global_defs count wherever in the files they stand. */
function complete(written: WrittenConfig, files: Files, problems: Problems): Config {
  const globals = withSyncDaemon(
    completeGlobals(written.global_defs, files.hostName),
    written.vrrp_instance,
    problems,
  );
  const alone = written.vrrp_instance.map((one) => completeInstance(one, globals, files, problems));
  const groups = written.vrrp_sync_group.length === 0
    ? []
    : completeSyncGroups(written.vrrp_sync_group, alone, globals, problems);
  const groupOf = groupsByMember(groups);
  const instances = groups.length === 0 ? alone : alone.map((one, i) => {
    const group = groupOf.get(one.name);
    const { values } = written.vrrp_instance[i]!;
    return withGroupDefaults(withoutWeights(one, group, problems), values, group);
  });
  const daemon = daemonSettings(written);
  return {
    globals,
    vrrp_instances: instances,
    ...some("vrrp_sync_groups", groups),
    ...some(
      "vrrp_scripts",
      written.vrrp_script.map((one) => completeScript(one, globals, problems)),
    ),
    ...some("track_files", written.track_file.map(completeTrackFile)),
    ...some(
      "track_processes",
      written.vrrp_track_process.map((one) => completeTrackProcess(one, problems)),
    ),
    ...some("bfd_instances", written.bfd_instance.map((one) => completeBfd(one, problems))),
    ...some("garp_groups", completeGarpGroups(written.garp_group, problems)),
    ...some("linkbeat_interfaces", written.linkbeat_interfaces),
    ...some("interface_up_down_delays", written.interface_up_down_delays),
    ...some("static_ipaddress", completeStatic(written, globals, files, problems)),
    ...some("static_routes", written.static_routes),
    ...some("static_rules", written.static_rules),
    ...some(
      "track_groups",
      written.track_group.map(({ name, values }) => ({ name, group: values.group })),
    ),
    ...(Object.keys(daemon).length === 0 ? {} : { daemon }),
    ...completeBalancer(written, globals, problems),
  };
}

/** Static addresses that name no link go to the default one. */
function completeStatic(
  { static_ipaddress }: WrittenConfig,
  { default_interface }: Globals,
  files: Files,
  problems: Problems,
): readonly VirtualAddress[] {
  return static_ipaddress.map((address) => {
    if (address.dev !== undefined) return address;
    if (default_interface === undefined && !files.hasLink(DEFAULT_LINK)) {
      const message = `No interface for static address ${address.address}`;
      problems.addAt(undefined, "fatal", message, { severity: "fatal" });
    }
    return { ...address, dev: default_interface ?? DEFAULT_LINK };
  });
}

/** A list under its name, or nothing when it is empty. */
function some<const K extends string, T>(
  name: K,
  list: readonly T[],
): { readonly [P in K]?: readonly T[] } {
  return (list.length === 0 ? {} : { [name]: list }) as { readonly [P in K]?: readonly T[] };
}

function daemonSettings(written: WrittenConfig): DaemonSettings {
  const { net_namespace, net_namespace_ipvs, instance, child_wait_time } = written;
  return {
    ...(net_namespace === undefined ? {} : { net_namespace }),
    ...(net_namespace_ipvs === undefined ? {} : { net_namespace_ipvs }),
    ...(instance === undefined ? {} : { instance }),
    ...(written.use_pid_dir ? { use_pid_dir: true } : {}),
    ...(written.linkbeat_use_polling ? { linkbeat_use_polling: true } : {}),
    ...(written.namespace_with_ipsets ? { namespace_with_ipsets: true } : {}),
    ...(child_wait_time === CHILD_WAIT_US ? {} : { child_wait_time }),
  };
}

/** An interface is in one group only, and a group without a gap is none. */
function completeGarpGroups(
  groups: readonly WrittenGarpGroup[],
  problems: Problems,
): readonly GarpGroup[] {
  const taken = new Set<string>();
  return groups.flatMap(({ place, values }, i) => {
    const { garp_interval, gna_interval, interface: single, interfaces } = values;
    if (garp_interval === undefined && gna_interval === undefined) {
      const message = `garp group ${i} does not have any delay set - removing`;
      problems.addAt(place, "general", message);
      return [];
    }
    const free = [...(single === undefined ? [] : [single]), ...interfaces].filter((name) => {
      if (!taken.has(name)) return true;
      problems.addAt(place, "general", `garp_group already specified for ${name} - ignoring`);
      return false;
    });
    for (const name of free) taken.add(name);
    return [{
      interfaces: [...new Set(free)],
      ...(garp_interval === undefined ? {} : { garp_interval }),
      ...(gna_interval === undefined ? {} : { gna_interval }),
    }];
  });
}

/** With several files involved, a line number alone says too little. */
function withFile(problem: Problem): Problem {
  return problem.prefix === "line" ? { ...problem, prefix: "file" } : problem;
}
