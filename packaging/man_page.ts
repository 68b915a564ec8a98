/**
 * The manual pages, in man(7): upkeep(8) from the tables that the command line is read by, and
 * keepalived.conf(5) from those that the configuration is read by.
 */

import { optionGroups } from "../src/cli/options.ts";
import { FOLLOWED_VERSION } from "../src/cli/release.ts";
import { RELEASE } from "../src/cli/release.ts";
import { outlineVerbs } from "../src/cli/verbs.ts";
import { byBlock, entriesOf, type Entry, SYNTAX, usageOf } from "../src/config/reference.ts";
import { root } from "../src/config/root.ts";

/** Signals that the daemon answers, with what each does. */
const SIGNALS: readonly (readonly [string, string])[] = [
  ["SIGHUP", "read the configuration again; one that keepalived would not start with is refused"],
  ["SIGTERM, SIGINT", "leave: an advert of priority 0, the addresses removed, exit status 0"],
  ["SIGUSR1", "write the state dumps"],
  ["SIGUSR2", "write the statistics"],
  ["SIGRTMIN+2 (36)", "write the state as JSON"],
  ["SIGRTMAX-1 (63)", "write the statistics and set them to zero"],
];

/** Exit statuses, as keepalived's. */
const STATUSES: readonly (readonly [string, string])[] = [
  ["0", "an orderly stop, or what was asked for has been printed"],
  ["1", "a fatal error, or an option that does not exist"],
  ["2", "a configuration that cannot be run"],
  ["4", "not enough privilege; after \\-t: the configuration has a fatal error"],
  ["5", "after \\-t: an error or a warning"],
  ["6", "the configuration file cannot be read"],
  ["70", "a mistake in upkeep itself"],
];

const FILES: readonly (readonly [string, string])[] = [
  ["/etc/keepalived/keepalived.conf", "the configuration"],
  ["/etc/default/keepalived", "DAEMON_ARGS, options that the service adds (Debian)"],
  ["/etc/sysconfig/keepalived", "KEEPALIVED_OPTIONS, the same (Red Hat)"],
  ["/run/keepalived.pid", "process id of the parent, which hears the signals"],
  ["/run/vrrp.pid", "process id of the VRRP role"],
  ["/usr/share/doc/upkeep/examples/keepalived.conf", "a configuration to start from"],
  ["/usr/share/upkeep/upkeep-hardened.conf", "an opt-in sandbox for the service"],
];

const EXAMPLES: readonly (readonly [string, string])[] = [
  ["Check a configuration:", "upkeep -t -f /etc/keepalived/keepalived.conf"],
  ["Run in the foreground and say everything:", "upkeep -n -l -D"],
  ["Watch a failover without touching this machine:", "upkeep demo"],
];

/** The page upkeep(8). */
export function manPage(): string {
  const verbs = outlineVerbs().map(({ name, purpose, argument, options }) =>
    item(
      argument === "" ? `.B ${text(name)}` : `.BI "${text(name)} " "${text(argument)}"`,
      purpose,
    ) +
    (options.length === 0 ? "" : `.RS\n${options.map(option).join("")}.RE\n`)
  );
  const groups = optionGroups.map(({ title, options }) =>
    `.SS ${text(title)}\n${
      options.map(({ usage, purpose, built }) =>
        option({ flags: usage.trim(), purpose: built ? purpose : `${purpose} (not yet)` })
      ).join("")
    }`
  );
  return [
    `.TH UPKEEP 8 ${RELEASE.date} "upkeep ${RELEASE.version}" "System Administration"\n`,
    `.SH NAME\nupkeep, keepalived \\- keeps addresses up: VRRP in place of keepalived\n`,
    `.SH SYNOPSIS\n.B upkeep\n.RI [ option ...]\n.br\n.B keepalived\n.RI [ option ...]\n`,
    `.br\n.B upkeep\n.I verb\n.RI [ option ...]\n`,
    `.SH DESCRIPTION\n`,
    plain(
      "upkeep moves addresses between routers with VRRP (RFC 9568, 5798 and 3768), beside real " +
        "keepalived peers, from the same configuration. It follows keepalived " +
        `${FOLLOWED_VERSION} in its options, signals, files, exit statuses and log lines.`,
    ),
    paragraph(
      "Started with an option, or under the name keepalived, it is the daemon. Started with a verb " +
        "it does what the verb says; started with nothing it lists the verbs.",
    ),
    `.SH OPTIONS\n`,
    plain('What is marked "not yet" is accepted and has no effect, which the log says.'),
    ...groups,
    `.SH VERBS\n`,
    ...verbs,
    `.SH SIGNALS\n`,
    ...SIGNALS.map(([name, purpose]) => item(`.B ${text(name)}`, purpose)),
    `.SH "EXIT STATUS"\n`,
    ...STATUSES.map(([status, purpose]) => `.TP\n.B ${status}\n${purpose}\n`),
    `.SH FILES\n`,
    ...FILES.map(([file, purpose]) => item(`.I ${text(file)}`, purpose)),
    `.SH ENVIRONMENT\n`,
    item(".B TMPDIR", "where dumps are written, /tmp if it is not set"),
    item(".B NOTIFY_SOCKET", "where systemd is told that the daemon is ready, reloads or stops"),
    `.SH EXAMPLES\n`,
    ...EXAMPLES.map(([purpose, command]) => item(text(purpose), command)),
    `.SH "SEE ALSO"\n.BR keepalived.conf (5),\n.BR ip (8),\n.BR systemctl (1)\n`,
  ].join("");
}

function option(row: { readonly flags: string; readonly purpose: string }): string {
  return item(`.B ${text(row.flags)}`, row.purpose);
}

function item(head: string, purpose: string): string {
  return `.TP\n${head}\n${text(purpose)}\n`;
}

function plain(words: string): string {
  return `${text(words)}\n`;
}

function paragraph(words: string): string {
  return `.PP\n${text(words)}\n`;
}

/** The page keepalived.conf(5): the syntax, then every keyword of the tables, block by block. */
export function configurationPage(): string {
  const sections = Map.groupBy(
    byBlock(entriesOf(root)),
    ({ blocks }) => blocks.length === 0 ? "OUTERMOST LEVEL" : blocks.join(" > "),
  );
  return [
    `.TH KEEPALIVED.CONF 5 ${RELEASE.date} "upkeep ${RELEASE.version}" "File Formats"\n`,
    `.SH NAME\nkeepalived.conf \\- configuration of upkeep and keepalived\n`,
    `.SH DESCRIPTION\n`,
    plain(
      "A statement is one line; blocks are in braces. A mistake costs its statement only, unless " +
        "keepalived would not start with it either. upkeep check finds what is wrong or unwise, " +
        "upkeep help keyword NAME tells what is said here of one keyword.",
    ),
    paragraph(
      "BOOL is true, on, yes or nothing, or false, off, no. SECS are decimal seconds. SCRIPT is one " +
        'word: in quotes with arguments. What is marked "not yet" is read and has no effect so far.',
    ),
    `.SH SYNTAX\n`,
    ...SYNTAX.map(([grammar, purpose]) => item(`.B ${quoted(grammar)}`, purpose)),
    ...[...sections].flatMap(([place, entries]) => [
      `.SH ${quoted(place)}\n`,
      ...entries.map((entry) => item(`.B ${quoted(usageOf(entry))}`, factsOf(entry))),
    ]),
    `.SH FILES\n`,
    item(".I /etc/keepalived/keepalived.conf", "the configuration"),
    `.SH "SEE ALSO"\n.BR upkeep (8)\n`,
  ].join("");
}

function factsOf({ row, doc, later }: Entry): string {
  const facts = [
    doc.purpose,
    ...(doc.range === undefined ? [] : [`range ${doc.range}`]),
    ...(doc.default === undefined ? [] : [`default ${doc.default}`]),
    ...(doc.must === undefined ? [] : [`must ${doc.must}`]),
    ...(row.aliasOf === undefined ? [] : [`sets ${row.aliasOf}`]),
    ...(row.deprecated === true ? ["deprecated"] : []),
    ...(row.ours === true ? ["keepalived does not have it"] : []),
  ];
  return `${facts.join("; ")}${later ? " (not yet)" : ""}`;
}

/** One argument of a macro, whatever it contains. */
function quoted(words: string): string {
  return `"${text(words).replaceAll('"', "\\(dq")}"`;
}

/** Text as roff reads it: a backslash and a dash are commands, so is a dot or quote that opens a line. */
function text(words: string): string {
  return words.replaceAll("\\", "\\e").replaceAll("-", "\\-").replace(/^([.'])/, "\\&$1");
}
