/** The outermost keywords, and with them all others. */
import { bfdInstance } from "./bfd_keywords.ts";
import { globalDefs, type WrittenGlobals } from "./global_keywords.ts";
import { garpGroup, linkbeatInterfaces, upDownDelays } from "./link_keywords.ts";
import {
  append,
  flag,
  insideOf,
  integer,
  list,
  named,
  type Naming,
  placeOf,
  text,
} from "./readers.ts";
import {
  block,
  type BlockRow,
  complain,
  type LineRow,
  type Values,
  type Written,
} from "./schema.ts";
import type { Place } from "./problem.ts";
import { routes } from "./route_rows.ts";
import { rules } from "./rule_rows.ts";
import { trackGroup, vrrpSyncGroup } from "./sync_group_keywords.ts";
import { trackFile, vrrpScript, vrrpTrackProcess } from "./track_keywords.ts";
import { formatVirtualAddress, readStaticAddress } from "./virtual_address.ts";
import type { VirtualAddress } from "./vrrp.ts";
import { sslBlock, virtualServerGroups, virtualServers } from "./lvs_keywords.ts";
import { vrrpInstance } from "./vrrp_keywords.ts";
import { quote } from "./words.ts";

const UINT_MAX = 4_294_967_295;
const LONGEST_BFD_NAME = 31;

/** The outermost keywords: what others refer to by name comes before them. */
export const root = block(() => ({
  linkbeat_use_polling: flag("- ask for the state of tracked links every second; default off"),
  net_namespace: firstText(
    "NAME - run in this network namespace; default the one it is started in",
    "net_namespace name missing - ignoring",
    (name) => `Duplicate net_namespace definition ${name} - ignoring`,
  ),
  net_namespace_ipvs: ipvsNamespace(),
  namespace_with_ipsets: flag(
    "- ipsets in a network namespace with kernels before 3.13, which ours never needs; default off",
  ),
  use_pid_dir: flag("- pid files in a directory of their own; default off"),
  instance: firstText(
    "NAME - tells several daemons apart: pid files, log, dump files; default none",
    "instance name missing - ignoring",
    (name) => `Duplicate instance definition ${name} - ignoring`,
  ),
  child_wait_time: integer(
    "SECS - how long a process may take to stop; range 0..4294967295; default 5",
    5_000_000,
    { min: 0, max: UINT_MAX, times: 1_000_000, says: (word) => `Invalid child_wait_time ${word}` },
  ),
  global_defs: globals(),
  track_group: named("NAME { ... } - instances static items refer to", "track_group", trackGroup, {
    missing: "track_group must have a name - skipping",
    duplicate: (name) => `track_group ${name} already defined`,
  }),
  static_ipaddress: list<VirtualAddress>(
    "{ ADDR[/LEN] [dev IF] [scope S] [label L] [track_group G] ... per line } - addresses that are " +
      "added at start and never moved; default none",
    readStaticAddress,
    formatVirtualAddress,
  ),
  static_routes: routes(
    "{ [TYPE] DEST [via GW] [dev IF] ... per line } - routes that are added at start and never moved; " +
      "default none",
    true,
  ),
  static_rules: rules(
    "{ [from A] [to B] ... table T|ACTION per line } - policy rules that are added at start and never " +
      "moved; default none",
    true,
  ),
  vrrp_script: named(
    "NAME { ... } - command whose result counts; the first one of a name counts",
    "vrrp_script",
    vrrpScript,
    {
      flaw: ({ script, check }, name) =>
        script === undefined && check === undefined
          ? `No script set for vrrp_script ${name} - removing`
          : undefined,
    },
  ),
  vrrp_track_process: named(
    "NAME { ... } - program whose presence counts; the first one of a name counts",
    "vrrp_track_process",
    vrrpTrackProcess,
    {
      flaw: ({ process: command }, name) =>
        command === undefined ? `track process '${name}' process name not specified` : undefined,
    },
  ),
  interface_up_down_delays: upDownDelays(),
  bfd_instance: named("NAME { ... } - one BFD session", "bfd_instance", bfdInstance, {
    duplicate: (name) => `Configuration error: BFD instance ${name} already configured - ignoring`,
    flaw: bfdFlaw,
  }),
  track_file: named(
    "NAME { ... } - file whose number counts; the first one of a name counts",
    "track_file",
    trackFile,
    TRACK_FILE,
  ),
  vrrp_track_file: vrrpTrackFile(),
  vrrp_sync_group: named(
    "NAME { ... } - instances that change state together",
    "vrrp_sync_group",
    vrrpSyncGroup,
    {
      missing: "vrrp_sync_group must have a name - skipping",
      duplicate: (name) => `vrrp sync group ${name} already defined`,
    },
  ),
  garp_group: garpGroups(),
  linkbeat_interfaces: linkbeatInterfaces(),
  vrrp_instance: named("NAME { ... } - one virtual router", "vrrp_instance", vrrpInstance, {
    missing: "vrrp_instance must have a name",
    duplicate: (name) => `vrrp instance ${name} already defined`,
  }),
  SSL: sslBlock(),
  virtual_server_group: virtualServerGroups(),
  virtual_server: virtualServers(),
}));

const TRACK_FILE: Naming<Values<typeof trackFile>> = {
  flaw: ({ file }, name) =>
    file === undefined ? `No file set for track_file ${name} - ignoring` : undefined,
};

function bfdFlaw(
  { neighbor_ip, source_ip }: Values<typeof bfdInstance>,
  name: string,
): string | undefined {
  const error = `Configuration error: BFD instance ${name}`;
  if (name.length > LONGEST_BFD_NAME) {
    return `${error} name too long (maximum length is ${LONGEST_BFD_NAME} characters) - ignoring`;
  }
  if (neighbor_ip === undefined) return `${error} has no neighbor address set, disabling instance`;
  if (source_ip === undefined || source_ip.includes(":") === neighbor_ip.includes(":")) {
    return undefined;
  }
  return `${error} source address ${source_ip} and neighbor address ${neighbor_ip} are not of the ` +
    "same family, disabling instance";
}

/** The former spelling of track_file. */
function vrrpTrackFile(): ReturnType<typeof named<ReturnType<typeof trackFile.rows>>> & {
  readonly aliasOf: "track_file";
} {
  const row = named(
    "NAME { ... } - former spelling of track_file",
    "track_file",
    trackFile,
    TRACK_FILE,
  );
  const { format: _, ...rest } = row;
  return {
    ...rest,
    aliasOf: "track_file",
    deprecated: true,
    open: (node, context) => {
      complain(
        insideOf(context, ""),
        node,
        "deprecated",
        'Keyword "vrrp_track_file" is deprecated - please use "track_file"',
        0,
      );
      return row.open(node, context);
    },
  };
}

/** It may come several times; what it says adds up. */
function globals(): BlockRow<WrittenGlobals> {
  return {
    doc: "{ ... } - settings of the whole daemon; may come several times",
    shape: "block",
    initial: globalDefs.initial() as WrittenGlobals,
    inside: globalDefs,
    headWords: 1,
    resume: (before) => before,
    open: (_node, context) => context,
    close: (values) => values as WrittenGlobals,
    format: (values) => [{ words: "", values: values as Written }],
  };
}

/** A garp_group as written. */
export interface WrittenGarpGroup {
  readonly place: Place;
  readonly values: Values<typeof garpGroup>;
}

function garpGroups(): BlockRow<readonly WrittenGarpGroup[]> {
  return {
    doc: "{ ... } - pace of announcements over one interface or several together",
    shape: "block",
    initial: [],
    inside: garpGroup,
    headWords: 1,
    open: (_node, context) => insideOf(context, ""),
    close: (values, node, _inside, before) =>
      append(before, { place: placeOf(node), values: values as Values<typeof garpGroup> }),
    format: (all) => all.map(({ values }) => ({ words: "", values: values as Written })),
  };
}

/** A text of which the first one counts. */
function firstText(
  doc: string,
  missing: string,
  duplicate: (name: string) => string,
): LineRow<string | undefined> {
  const row = text(doc, missing);
  return {
    ...row,
    read: (node, context, before) => {
      const name = row.read(node, context, before);
      if (before === undefined || name === undefined) return name;
      complain(context, node, "general", duplicate(name), 1);
      return undefined;
    },
  };
}

/** Without a name it is the namespace of process 1. */
function ipvsNamespace(): LineRow<string | undefined> {
  return {
    doc:
      "[NAME] - network namespace of IPVS, without a name that of process 1; default net_namespace",
    shape: "line",
    initial: undefined,
    read: (node) => node.words[1] ?? "",
    format: (value) => value === undefined ? [] : [value === "" ? "" : quote(value)],
  };
}
