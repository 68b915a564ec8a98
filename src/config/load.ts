/**
 * text → Config. A start, a reload, a configuration test and a preview all come through here:
 * files → statements → tree → values → what one block says about another.
 */
import type { Files } from "./files.ts";
import { globalDefs, type Globals, readGlobals } from "./globals.ts";
import { readInstance } from "./instance.ts";
import type { Problem } from "./problem.ts";
import { block, type Context, type Mode, section, warnUnsupported } from "./schema.ts";
import { readSource } from "./source.ts";
import { growTree, type Node } from "./tree.ts";
import { validate } from "./validate.ts";
import type { VrrpInstance } from "./vrrp.ts";
import { vrrpInstance } from "./vrrp_keywords.ts";

/** Everything a configuration says. Plain JSON. */
export interface Config {
  readonly globals: Globals;
  readonly vrrp_instances: readonly VrrpInstance[];
}

/** A configuration with what is wrong with it. */
export interface Loaded {
  readonly config: Config;
  readonly problems: readonly Problem[];
}

/** The outermost keywords. */
const root = block(() => ({
  global_defs: section("global_defs { ... } - settings of the whole daemon", globalDefs),
  vrrp_instance: section("vrrp_instance NAME { ... } - one virtual router", vrrpInstance),
}), {
  lines: "linkbeat_use_polling net_namespace net_namespace_ipvs namespace_with_ipsets " +
    "use_pid_dir instance child_wait_time",
  blocks: "track_group static_ipaddress static_routes static_rules vrrp_sync_group garp_group " +
    "linkbeat_interfaces vrrp_script vrrp_track_process interface_up_down_delays SSL " +
    "virtual_server_group virtual_server bfd_instance track_file vrrp_track_file",
});

/**
 * Reads the file (or glob pattern) at `path` and all it includes. Never throws. With a fatal
 * problem (`isFatal`) the configuration must not be used. Mode "test" refuses numbers with junk
 * behind them that a start takes with a warning.
 */
export function load(path: string, files: Files, mode: Mode = "run"): Loaded {
  const problems: Problem[] = [];
  const { statements, fileCount } = readSource(path, files, problems);
  const nodes = growTree(statements, root, problems);
  const names = new Map<string, Set<string>>();
  const outer: Context = {
    problems,
    files,
    mode,
    prefix: "line",
    who: "",
    protocol: { family: 0, version: 0 },
    dynamicInterfaces: false,
    names,
    unsupported: new Set(),
  };
  // Global defaults count for every instance, wherever in the file they stand.
  const globalNodes = nodes.flatMap((node) =>
    node.words[0]!.text === "global_defs" ? node.body ?? [] : []
  );
  const globals = readGlobals(globalNodes, outer);
  const context = {
    ...outer,
    prefix: "file",
    dynamicInterfaces: globals.dynamic_interfaces,
  } as const;
  const vrrp_instances: VrrpInstance[] = [];
  for (const node of nodes) {
    const keyword = node.words[0]!.text;
    if (keyword === "vrrp_instance") vrrp_instances.push(readInstance(node, context, globals));
    else if (keyword !== "global_defs") noteUnbuilt(node, context, names);
  }
  validate(vrrp_instances, problems);
  return {
    config: { globals, vrrp_instances },
    problems: fileCount > 1 ? problems.map(withFile) : problems,
  };
}

/** Reports a block that is skipped, and keeps its name for those who refer to it. */
function noteUnbuilt(node: Node, context: Context, names: Map<string, Set<string>>): void {
  warnUnsupported(node, context);
  const keyword = node.words[0]!.text;
  const name = node.words[1]?.text;
  if (name === undefined) return;
  const known = names.get(keyword);
  if (known === undefined) names.set(keyword, new Set([name]));
  else known.add(name);
}

/** With several files involved, a line number alone says too little. */
function withFile(problem: Problem): Problem {
  return problem.prefix === "line" ? { ...problem, prefix: "file" } : problem;
}
