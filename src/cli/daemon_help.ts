/**
 * What the daemon prints for `--help` and `--version`. Both belong on standard error, where programs
 * look for them: an exporter and OpenStack read the version there.
 */
import { baseName } from "../lib/path.ts";
import { optionGroups } from "./options.ts";
import { FOLLOWED_VERSION } from "./release.ts";

/** What `versionText` says. */
export interface VersionFacts {
  /** Our own version. */
  readonly version: string;
  /** The day of our release as YYYY-MM-DD. */
  readonly date: string;
  /** The running kernel, as `uname -srv` prints it. */
  readonly kernel: string;
}

/** The usage, one line per option, ending in a newline. `argv0` is the name we were started by. */
export function usageText(argv0: string): string {
  const rows = optionGroups.flatMap(({ options }) => options);
  const width = Math.max(...rows.map(({ usage }) => usage.length)) + 2;
  const groups = optionGroups.map(({ title, options }) => {
    const lines = options.map(({ usage, purpose, built }) =>
      `  ${usage.padEnd(width)}${purpose}${built ? "" : " [not yet]"}\n`
    );
    return `\n${title}:\n${lines.join("")}`;
  });
  const isKeepalived = baseName(argv0) === "keepalived";
  const verbs = isKeepalived
    ? ""
    : `       ${argv0} VERB [...]  for what else it does, see ${argv0} help\n`;
  return `Usage: ${argv0} [OPTION...]\n${verbs}${groups.join("")}`;
}

/**
 * The version, ending in a newline. Its first line is keepalived's to the letter, because programs
 * compare the number in it; `--enable-json` is what exporters look for before they ask for JSON.
 */
export function versionText({ version, date, kernel }: VersionFacts): string {
  const [year, month, day] = date.split("-");
  return `Keepalived v${FOLLOWED_VERSION} (${month}/${day},${year})

upkeep ${version}, which does the work of keepalived ${FOLLOWED_VERSION}

Built for Linux 4.18 or later
Running on ${kernel}

configure options: --enable-json --enable-log-file
`;
}
