/** The guides' commands are run as they are written, each guide in a lab of its own; see ../support/guides.ts. */

import { expect, test } from "bun:test";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { killTree, UPKEEP } from "../support/daemon.ts";
import { follow, GUIDES, type Place, readGuides } from "../support/guides.ts";
import { Network } from "../support/namespaces.ts";
import { Container } from "./booted.ts";
import { artefact, attempt, DebianRoot, scratch } from "./lab.ts";

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

async function makeLab(
  lab: ReadonlyMap<string, string>,
  stack: AsyncDisposableStack,
): Promise<Map<string, Place>> {
  return lab.has("machine") ? await makeMachine(stack) : await makeNetwork(lab, stack);
}

for (const guide of readGuides()) {
  const { name, text, lab } = guide;
  // Side by side: they wait for elections most of the time. Those that need IPVS are test/uml's.
  if (![...lab.values()].includes("director")) {
    test.concurrent(`${name} does what it says`, async () => {
      await using stack = new AsyncDisposableStack();
      await follow(guide, await makeLab(lab, stack));
    });
  }

  test(`${name} names only files that exist`, () => {
    const links = [...text.matchAll(/\]\(([^)#]+\.md)/g)].map(([, link]) => link!);
    for (const link of links) {
      expect(readdirSync(resolve(GUIDES, dirname(link)))).toContain(basename(link));
    }
  });
}
