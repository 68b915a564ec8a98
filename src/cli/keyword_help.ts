/** The verb `help keyword`: what the table says of a keyword of the configuration. */

import { writeSync } from "node:fs";
import { keywordHelp } from "../config/reference.ts";
import { root } from "../config/root.ts";

const USAGE = `Usage: upkeep help keyword NAME

NAME is a keyword of keepalived.conf, with blocks before it where it has several meanings.

Examples:
  upkeep help keyword advert_int
  upkeep help keyword real_server/weight
`;

/** Prints the help for the keyword that `words` name; 0, or 2 when there is none. */
export function runKeywordHelp(words: readonly string[]): number {
  const name = words.join(" ");
  if (name === "" || name === "-h" || name === "--help") {
    writeSync(name === "" ? 2 : 1, USAGE);
    return name === "" ? 2 : 0;
  }
  const found = keywordHelp(name, root);
  if ("text" in found) {
    writeSync(1, found.text);
    return 0;
  }
  const hint = found.near === undefined ? "" : `\n(Did you mean ${found.near}?)`;
  writeSync(2, `upkeep: unknown keyword '${name}'${hint}\nSee upkeep help keyword\n`);
  return 2;
}
