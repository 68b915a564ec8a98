/**
 * The command line of verbs: what `upkeep WORD` understands. The daemon's own options are not here
 * (see options.ts); each verb's code is loaded only when it runs.
 */

import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import manifest from "../../package.json" with { type: "json" };

const USAGE_STATUS = 2;
const DEFAULT_ADVERT_INT = 0.1;

/**
 * Runs the verb in `argv` (the words after the program's name) and returns the exit status: 0, 1 for a
 * failure, 2 for words that are not understood. Without any word it prints the help.
 */
export async function runVerb(argv: string[]): Promise<number> {
  if (argv[0] === "demo-ping") {
    const { runClient } = await import("./demo_ping.ts");
    return runClient(argv[1]);
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

function newProgram(finish: (status: number) => void, argv: readonly string[]): Command {
  const program = new Command("upkeep")
    .description("Keeps an address up: VRRP between routers, a drop-in replacement for keepalived.")
    .usage("VERB [options], or the daemon's options as keepalived has them (upkeep --help)")
    .helpOption(false) // a word that starts with a dash is the daemon's
    .helpCommand("help [verb]", "print the help of a verb")
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
  upkeep -t -f /etc/keepalived/keepalived.conf
                                          check a configuration`,
    );
  // What a verb gets from its parent has to be set first.
  addDemo(program, finish, argv);
  program.command("version").description("print the version").action(() => {
    process.stdout.write(`upkeep ${manifest.version}\n`);
  });
  return program;
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
