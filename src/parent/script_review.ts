/**
 * All scripts of a configuration, looked at before any of them is needed: which will not run, and which could be
 * changed by somebody who may not decide what root runs. Loaded only when there are some, after the start.
 */

import type { Config } from "../config/load.ts";
import {
  type Insecure,
  insecureComponent,
  isShellTest,
  locate,
  type Mention,
  mentionsOf,
} from "../config/scripts.ts";
import type { World } from "../config/world.ts";
import type { LogLevel } from "../lib/log.ts";
import { blameOf, vetScript } from "./script.ts";

type Say = (level: LogLevel, text: string) => void;

/** Those run them often, and say so themselves. */
const SELF_TOLD: ReadonlySet<string> = new Set(["script", "misc_path"]);

/** Says what is wrong with the scripts of a configuration, each once, in keepalived's phrases where it has one. */
export function reviewScripts(config: Config, world: World, say: Say): void {
  const { enable_script_security: isSecure } = config.globals;
  const seen = new Set<string>();
  let runs = 0;
  let insecure = 0;
  for (const mention of mentionsOf(config)) {
    const { script } = mention;
    const key = JSON.stringify(script);
    if (isShellTest(script) || seen.has(key)) continue;
    seen.add(key);
    const vetted = vetScript(script, config.globals, world);
    if ("why" in vetted) {
      if (SELF_TOLD.has(mention.keyword)) continue;
      say("warning", `${nameOf(mention)} will not be run: ${vetted.why} (${vetted.hint})`);
      continue;
    }
    runs++;
    const path = sayFound(script.argv[0]!, world, say);
    const found = vetted.uid === 0 ? insecureComponent(path, world) : undefined;
    if (found === undefined) continue;
    insecure++;
    say("warning", complaintOf(path, found, world));
  }
  if (runs === 0 || isSecure === true) return;
  const more = insecure === 0 ? "" : " There are insecure scripts.";
  say(
    "warning",
    `SECURITY VIOLATION - scripts are being executed but script_security not enabled.${more}`,
  );
}

/** The path of a program, and a word about it where that depends on the environment. */
function sayFound(program: string, world: World, say: Say): string {
  const path = locate(program, world)!;
  if (program.includes("/")) return path;
  const text = `script \`${program}\` resolved by path search to \`${path}\``;
  say("warning", `WARNING - ${text}. Please specify full path.`);
  return path;
}

function complaintOf(path: string, found: Insecure, world: World): string {
  const { blame, cure } = blameOf(found, world);
  return `Unsafe permissions found for script '${path}': ${blame} (${cure})`;
}

function nameOf({ who, keyword, script }: Mention): string {
  return `${who}${keyword} script ${script.argv[0]}`;
}
