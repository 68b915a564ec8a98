/**
 * The guides' commands are run as they are written, one guide after the other, each in a lab of its own. A
 * guide's first comment says which machines it has:
 *
 *     <!-- lab: debian router1 router2; host client -->
 *
 * `debian` are booted Debian machines with the package in /root, `debian-keepalived` the same with
 * keepalived installed, `host` a bare host, all on one link as 10.0.0.1, .2 …; `machine` alone is one
 * computer whose network nobody else sees. A block is
 *
 *     ```conf NAME,NAME:PATH    a file on those machines (`sh NAME:PATH` likewise)
 *     ```console                lines `NAME# COMMAND`, each followed by lines of its output: every one
 *                               must turn up in this order, blanks as one, … for anything
 *     ```sh untested: WHY       what cannot be run here
 *
 * A command with output is repeated until it says that, for ten seconds: elections take time.
 */

import { expect, test } from "bun:test";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { killTree, UPKEEP } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { Container } from "./booted.ts";
import { artefact, attempt, DebianRoot, type Outcome, scratch } from "./lab.ts";

const GUIDES = resolve(import.meta.dir, "../../docs/guides");
const PATIENCE_MS = 10_000;

/** A place where commands are run. */
interface Place {
  attempt(command: string): Promise<Outcome>;
  write(path: string, text: string): void;
}

interface Block {
  readonly kind: string;
  readonly about: string;
  readonly text: string;
  readonly line: number;
}

/** The fenced blocks of a guide, also those inside a list. */
function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^( *)```(\w+) ?(.*)\n([^]*?)^\1```$/gm)].map((found) => ({
    kind: found[2]!,
    about: found[3]!,
    text: found[4]!,
    line: markdown.slice(0, found.index).split("\n").length,
  }));
}

interface Command {
  readonly place: string;
  readonly command: string;
  readonly output: readonly string[];
  readonly line: number;
}

function commandsOf({ text, line }: Block): Command[] {
  const commands: { place: string; command: string; output: string[]; line: number }[] = [];
  for (const [i, one] of text.trimEnd().split("\n").entries()) {
    const prompt = /^(\w+)# (.*)$/.exec(one);
    if (prompt !== null) {
      commands.push({ place: prompt[1]!, command: prompt[2]!, output: [], line: line + 1 + i });
    } else commands.at(-1)!.output.push(one);
  }
  return commands;
}

/** Whether all the lines turn up in their order. */
function says(text: string, lines: readonly string[]): boolean {
  const flat = text.split("\n").map((line) => line.replace(/\s+/g, " ").trim());
  let at = 0;
  return lines.every((line) => {
    const parts = line.replace(/\s+/g, " ").trim().split("…").map((part) => RegExp.escape(part));
    const pattern = new RegExp(parts.join(".*"));
    const found = flat.findIndex((one, i) => i >= at && pattern.test(one));
    at = found + 1;
    return found >= 0;
  });
}

async function perform({ command, output, line }: Command, place: Place): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const { status, text } = await place.attempt(command);
    if (status === 0 && says(text, output)) return;
    if (output.length === 0 || performance.now() > deadline) {
      throw new Error(`line ${line}: ${command}\nended with ${status} and said\n${text}`);
    }
    await Bun.sleep(100);
  }
}

/** Debian machines and bare hosts on one link. */
async function makeNetwork(
  roles: ReadonlyMap<string, string>,
  stack: AsyncDisposableStack,
): Promise<Map<string, Place>> {
  const network = stack.use(new Network([...roles.keys()]));
  const deb = await artefact(/amd64\.deb$/);
  const places = new Map<string, Place>();
  for (const [name, role] of roles) {
    if (role === "host") {
      places.set(name, {
        attempt: (command) => attempt([...network.enter(name), "sh", "-c", command]),
        write: () => {
          throw new Error(`${name} is a bare host without files`);
        },
      });
      continue;
    }
    const root = stack.use(await DebianRoot.make(deb, await artefact(/^upkeep-amd64$/)));
    await root.run("rm", "/usr/sbin/policy-rc.d");
    if (role === "debian") await root.run("dpkg", "--purge", "keepalived");
    const container = stack.use(new Container(network, name, root.path));
    await container.booted();
    places.set(name, {
      attempt: (command) => container.attempt("sh", "-c", `cd /root && ${command}`),
      write: (path, text) => root.write(path, text),
    });
  }
  return places;
}

/** One computer: a network, processes and a /run of its own, with upkeep on its PATH. */
async function makeMachine(stack: AsyncDisposableStack): Promise<Map<string, Place>> {
  const folder = scratch("machine");
  const bin = join(folder, "bin");
  mkdirSync(bin);
  for (const name of ["upkeep", "keepalived"]) symlinkSync(UPKEEP, join(bin, name));
  const appliance = await artefact(/appliance-amd64/);
  cpSync(appliance, join(folder, basename(appliance)));
  const script = "mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link set lo up && " +
    "echo up && exec sleep infinity";
  const child = Bun.spawn([
    ...["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"],
    ...["sh", "-c", script],
  ], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  stack.defer(() => killTree(child.pid));
  await child.stdout.getReader().read();
  const inner = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim();
  const enter = ["nsenter", "-t", inner, "-n", "-m", "-p", "--"];
  return new Map([["machine", {
    attempt: (command) =>
      attempt([...enter, "sh", "-c", `cd ${folder} && ${command}`], {
        env: { PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin` },
      }),
    write: (path, text) => writeFileSync(join(folder, path), text),
  }]]);
}

async function makeLab(markdown: string, stack: AsyncDisposableStack): Promise<Map<string, Place>> {
  const lab = /<!-- lab: (.*) -->/.exec(markdown)?.[1];
  if (lab === undefined) throw new Error("the guide does not say what its lab is");
  if (lab === "machine") return await makeMachine(stack);
  const roles = lab.split("; ").flatMap((part) => {
    const [role = "", ...names] = part.split(" ");
    return names.map((name) => [name, role] as const);
  });
  return await makeNetwork(new Map(roles), stack);
}

for (const name of readdirSync(GUIDES).sort()) {
  // Side by side: they wait for elections most of the time.
  test.concurrent(`${name} does what it says`, async () => {
    const markdown = readFileSync(join(GUIDES, name), "utf8");
    const blocks = blocksOf(markdown);
    await using stack = new AsyncDisposableStack();
    const places = await makeLab(markdown, stack);
    const placeOf = (place: string): Place => {
      const found = places.get(place);
      if (found === undefined) throw new Error(`there is no ${place} in this lab`);
      return found;
    };
    let count = 0;
    for (const block of blocks) {
      const [hosts = "", path] = block.about.split(":");
      if (block.kind === "console") {
        for (const command of commandsOf(block)) {
          await perform(command, placeOf(command.place));
          count++;
        }
      } else if (block.kind === "conf" || (block.kind === "sh" && hosts !== "untested")) {
        for (const host of hosts.split(",")) placeOf(host).write(path ?? "", block.text);
      } else expect(["ini", "yaml", "sh"]).toContain(block.kind);
    }
    expect(count).toBeGreaterThan(0);
  });

  test(`${name} names only files that exist`, () => {
    const text = readFileSync(join(GUIDES, name), "utf8");
    const links = [...text.matchAll(/\]\(([^)#]+\.md)/g)].map(([, link]) => link!);
    for (const link of links) {
      expect(readdirSync(resolve(GUIDES, dirname(link)))).toContain(basename(link));
    }
  });
}
