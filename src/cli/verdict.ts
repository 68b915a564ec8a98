/** The configuration test, `-t`, with only what it needs: scripts run it before every reload. */

import { openAppend, writeText } from "../../ffi/file.ts";
import { closeDescriptor } from "../../ffi/socket.ts";
import { load } from "../config/load.ts";
import { configTestStatus, reportProblem } from "../config/problem.ts";
import { scriptProblems } from "../config/script_security.ts";
import { absolutePath } from "../lib/path.ts";
import { systemFiles } from "../parent/files.ts";
import type { DaemonOptions } from "./options.ts";
import { systemWorld } from "../parent/world.ts";

/** `-t`: reads as every role would and reports; the status is keepalived's. */
export function testConfiguration(options: DaemonOptions): number {
  const cwd = process.cwd();
  const path = absolutePath(cwd, options.configFile);
  const files = systemFiles({
    configId: options.configId,
    allIncludeChecks: options.allConfig,
    cwd,
    isOnce: true,
  });
  const { config, written, problems: found } = load(path, files, "test");
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
