/**
 * text → Config. A start, a reload, a configuration test and a preview all come through here:
 * files → statements → values → what is complete → what one block says about another.
 */
import type { Files } from "./files.ts";
import { completeGlobals, type Globals } from "./globals.ts";
import { completeInstance } from "./instance.ts";
import { Parser } from "./parser.ts";
import { type Problem, Problems } from "./problem.ts";
import { root } from "./root.ts";
import type { Context, Mode, Values } from "./schema.ts";
import { readSource, type SetChecks } from "./source.ts";
import { suggest } from "./suggest.ts";
import { validate } from "./validate.ts";
import type { VrrpInstance } from "./vrrp.ts";

/** Everything a configuration says. Plain JSON. */
export interface Config {
  readonly globals: Globals;
  readonly vrrp_instances: readonly VrrpInstance[];
}

/** What the files say, keyword by keyword, before defaults from elsewhere. */
export type WrittenConfig = Values<typeof root>;

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
export function load(path: string, files: Files, mode: Mode = "run"): Loaded {
  const problems = new Problems();
  let setChecks: SetChecks = () => {};
  const context: Context = {
    problems,
    files,
    mode,
    prefix: "line",
    who: "",
    protocol: { family: 0, version: 0 },
    names: new Map(),
    unsupported: new Set(),
    setIncludeChecks: (names) => setChecks(names),
    suggest: (keyword, block) => suggest(keyword, block, root),
  };
  const parser = new Parser(root, context);
  const fileCount = readSource(path, files, problems, (statement, set) => {
    setChecks = set;
    parser.read(statement);
  });
  const written = parser.finish() as WrittenConfig;
  const config = complete(written, files, problems);
  if (config.globals.dynamic_interfaces) problems.forgive("bad_interface");
  validate(config.vrrp_instances, problems);
  const all = problems.finish();
  return { config, written, problems: fileCount > 1 ? all.map(withFile) : all };
}

/** Fills in the defaults: those of global_defs count wherever in the files they stand. */
function complete(written: WrittenConfig, files: Files, problems: Problems): Config {
  const globals = completeGlobals(written.global_defs, files.hostName);
  return {
    globals,
    vrrp_instances: written.vrrp_instance.map((one) => completeInstance(one, globals, problems)),
  };
}

/** With several files involved, a line number alone says too little. */
function withFile(problem: Problem): Problem {
  return problem.prefix === "line" ? { ...problem, prefix: "file" } : problem;
}
