/**
 * The command line of verbs: what `upkeep WORD` understands. The daemon's own options are not here
 * (see options.ts); each verb's code is loaded only when it runs.
 */

import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import manifest from "../../package.json" with { type: "json" };

const USAGE_STATUS = 2;
const DEFAULT_ADVERT_INT = 0.1;
const DEFAULT_FILE = "/etc/keepalived/keepalived.conf";

/**
 * Runs the verb in `argv` (the words after the program's name) and returns the exit status: 0, 1 for a
 * failure, 2 for words that are not understood. Without any word it prints the help.
 */
export async function runVerb(argv: string[]): Promise<number> {
  if (argv[0] === "demo-ping") {
    const { runClient } = await import("./demo_ping.ts");
    return runClient(argv[1]);
  }
  if (argv[0] === "help" && argv[1] === "keyword") {
    const { runKeywordHelp } = await import("./keyword_help.ts");
    return runKeywordHelp(argv.slice(2));
  }
  let status = 0;
  const program = newProgram((result) => {
    status = result;
  }, argv);
  try {
    await program.parseAsync(argv.length === 0 ? ["help"] : argv, { from: "user" });
    return status;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : USAGE_STATUS;
  }
}

/** A verb as the manual and the shells' completions show it. */
export interface VerbOutline {
  readonly name: string;
  readonly purpose: string;
  /** What it takes besides options: `[file...]`, or nothing. */
  readonly argument: string;
  /** `flags` as in the help: `--config <FILE...>`. */
  readonly options: readonly { readonly flags: string; readonly purpose: string }[];
}

/** Every verb, in the order of the help. */
export function outlineVerbs(): readonly VerbOutline[] {
  const { commands } = newProgram(() => {}, []);
  const verbs = commands.map((verb) => ({
    name: verb.name(),
    purpose: verb.description(),
    argument: verb.registeredArguments.length === 0
      ? ""
      : verb.usage().replace(/^\[options\] ?/, ""),
    options: verb.options.map(({ flags, description }) => ({ flags, purpose: description })),
  }));
  const help = { name: "help", purpose: "print the help of a verb or a keyword" };
  return [...verbs, { ...help, argument: "[verb | keyword NAME]", options: [] }];
}

function newProgram(finish: (status: number) => void, argv: readonly string[]): Command {
  const program = new Command("upkeep")
    .description("Keeps an address up: VRRP between routers, a drop-in replacement for keepalived.")
    .usage("VERB [options], or the daemon's options as keepalived has them (upkeep --help)")
    .helpOption(false) // a word that starts with a dash is the daemon's
    .helpCommand("help [verb]", "print the help of a verb; help keyword NAME: of a keyword")
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({
      styleTitle: (text) => `\x1b[1m${text}\x1b[0m`, // taken out where there is no colour
      subcommandTerm: (verb) => verb.name(),
    })
    .configureOutput({
      outputError: (text, write) =>
        write(`${text.replace(/^error: /, "upkeep: ")}See upkeep help\n`),
    })
    .addHelpText(
      "after",
      `
Examples:
  upkeep demo                             watch a failover, in namespaces of its own
  upkeep -n -l -D                         the daemon, in the foreground
  upkeep help keyword advert_int          what a keyword of the configuration means
  upkeep check                            everything wrong with /etc/keepalived/keepalived.conf
  upkeep -t -f /etc/keepalived/keepalived.conf
                                          the same as keepalived's configuration test`,
    );
  // What a verb gets from its parent has to be set first.
  addCheck(program, finish);
  addDemo(program, finish, argv);
  program.command("version").description("print the version").action(() => {
    process.stdout.write(`upkeep ${manifest.version}\n`);
  });
  return program;
}

function addCheck(program: Command, finish: (status: number) => void): void {
  program.command("check")
    .helpOption("-h, --help", "print this")
    .description("find everything that is wrong or unwise in a configuration")
    .addArgument(
      new Argument("[file...]", "the configuration, or several that guard the same addresses")
        .default([DEFAULT_FILE], DEFAULT_FILE),
    )
    .option("--json", "print one JSON object: files and problems")
    .option("--strict", "exit with 1 for warnings and lints too")
    .option("--print", "print the configuration as it was understood")
    .option("--show-secrets", "print passwords and keys as they are")
    .option("--keepalived", "report what keepalived 2.4.3 would not know")
    .option("--no-lint", "report only what a start complains about")
    .option("--ignore <CODE,...>", "leave out warnings and lints of these codes")
    .option("--offline", "the configuration is for another machine: ask nothing of this one")
    .option("-i, --config-id <NODE>", "read it as this node: lines that start with @NODE")
    .addHelpText(
      "after",
      `
Problems are fatal (no daemon starts), errors (the statement is dropped), warnings, and lints: what
is legal but unwise. The exit status is 2 for the first two, 1 for the others with --strict, else 0.

Examples:
  upkeep check                              ${DEFAULT_FILE}
  upkeep check --strict --json k.conf       for a pipeline
  upkeep check left.conf right.conf         each, and what the pair must agree on
  upkeep check --print k.conf > plain.conf  without includes, conditions and definitions`,
    )
    .action(async (files: string[], given: CheckFlags) => {
      const { runCheck } = await import("./check.ts");
      finish(runCheck({
        files,
        json: given.json ?? false,
        strict: given.strict ?? false,
        print: given.print ?? false,
        showSecrets: given.showSecrets ?? false,
        keepalived: given.keepalived ?? false,
        lint: given.lint ?? true,
        offline: given.offline ?? false,
        ignore: given.ignore?.split(",") ?? [],
        configId: given.configId,
      }));
    });
}

/** What commander hands over for `check`. */
interface CheckFlags {
  readonly json?: boolean;
  readonly strict?: boolean;
  readonly print?: boolean;
  readonly showSecrets?: boolean;
  readonly keepalived?: boolean;
  readonly lint?: boolean;
  readonly offline?: boolean;
  readonly ignore?: string;
  readonly configId?: string;
}

function addDemo(
  program: Command,
  finish: (status: number) => void,
  argv: readonly string[],
): void {
  const config = new Option("--config <FILE...>", "your own pair: FILE_A FILE_B")
    .conflicts("advertInt");
  const advertInt = new Option(
    "--advert-int <SECONDS>",
    `between adverts of the embedded pair, 0.01 to 40.95 (${DEFAULT_ADVERT_INT})`,
  ).argParser(readAdvertInt);
  program.command("demo")
    .helpOption("-h, --help", "print this")
    .description("watch an address move between two routers as one crashes and one is stopped")
    .addOption(advertInt)
    .addOption(config)
    .option("--json", "print one JSON object: events and failovers")
    .addHelpText(
      "after",
      `
Two daemons and a client run in network namespaces of their own, joined by a bridge; nothing
outside is touched and nothing stays. Root is not needed where users may make namespaces.

Examples:
  upkeep demo                        a VRRPv3 pair, an advert every ${DEFAULT_ADVERT_INT} s
  upkeep demo --advert-int 0.01      as fast as the protocol goes
  upkeep demo --config a.conf b.conf
                                     your own pair: the links and addresses it names are made
  upkeep demo --json | jq .failovers`,
    )
    .action(async (given: { advertInt?: number; config?: string[]; json?: boolean }, demo) => {
      const [a, b, ...more] = given.config ?? [];
      if (given.config !== undefined && (a === undefined || b === undefined || more.length > 0)) {
        demo.error(`error: --config takes two files, not ${given.config.length}`);
      }
      const { runDemo } = await import("./demo.ts");
      const options = {
        json: given.json ?? false,
        advertInt: given.advertInt ?? DEFAULT_ADVERT_INT,
        ...(a === undefined || b === undefined ? {} : { config: [a, b] as const }),
      };
      finish(await runDemo(options, argv));
    });
}

/** Seconds in whole hundredths that fit the 12 bits of version 3. */
function readAdvertInt(text: string): number {
  const seconds = Number(text);
  const hundredths = Math.round(seconds * 100);
  const isWhole = Math.abs(seconds * 100 - hundredths) < 1e-6;
  if (!isWhole || hundredths < 1 || hundredths > 4095) {
    throw new InvalidArgumentError("It should be 0.01 to 40.95, in hundredths of a second");
  }
  return hundredths / 100;
}
