/** The configuration test, `-t`, with only what it needs: scripts run it before every reload. */

import { fileSize, openAppend, writeText } from "../../ffi/file.ts";
import { expectMuchMemory } from "../../ffi/memory.ts";
import { closeDescriptor } from "../../ffi/socket.ts";
import { load } from "../config/load.ts";
import { configTestStatus, reportProblem } from "../config/problem.ts";
import { scriptProblems } from "../config/script_security.ts";
import { absolutePath } from "../lib/path.ts";
import { systemFiles } from "../parent/files.ts";
import type { DaemonOptions } from "./options.ts";
import { systemWorld } from "../parent/world.ts";

/** A configuration file of a thousand lines. */
const LARGE_BYTES = 16_384;
/** What the largest ones need. */
const HEAP_BYTES = 256 * 1024 * 1024;

/** `-t`: reads as every role would and reports; the status is keepalived's. */
export function testConfiguration(options: DaemonOptions): number {
  const cwd = process.cwd();
  const path = absolutePath(cwd, options.configFile);
  // The build's JIT policy is that of a daemon, which runs most of its code once. A large file is a loop: there
  // compiling pays, while a small one is read before it would.
  if ((fileSize(path) ?? 0) >= LARGE_BYTES) {
    Bun.unsafe.setJITPolicy(1);
    expectMuchMemory(HEAP_BYTES);
  }
  const files = systemFiles({
    configId: options.configId,
    allIncludeChecks: options.allConfig,
    cwd,
  });
  const { config, written, problems: found } = load(
    path,
    files,
    "test",
  );
  const problems = [...found, ...scriptProblems(written, config.globals, systemWorld(files))];
  const report = problems.map(reportProblem).join("\n");
  const file = options.configTest?.file;
  if (report !== "" && file === undefined) writeText(2, `${report}\n`);
  else if (report !== "" && file !== undefined) {
    const fd = openAppend(file, true);
    writeText(fd, `${report}\n`);
    closeDescriptor(fd);
  }
  return configTestStatus(problems);
}
