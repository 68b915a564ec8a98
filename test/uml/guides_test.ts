/** The guides about virtual servers: their commands are run as they are written, see ../support/guides.ts. */

import { setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Backends } from "../support/backends.ts";
import { killTree, UPKEEP } from "../support/daemon.ts";
import { follow, type Guide, type Place, readGuides } from "../support/guides.ts";
import { Network } from "../support/namespaces.ts";
import { IN_GUEST } from "../support/uml.ts";

setDefaultTimeout(120_000);

/** Programs are slow here by their system calls. */
const PATIENCE_MS = 30_000;
const CONFIGURATION = "/etc/keepalived";

/** A host with processes, a /run and a configuration of its own, and upkeep on its PATH. */
async function makePlace(
  network: Network,
  host: string,
  folder: string,
  stack: AsyncDisposableStack,
): Promise<Place> {
  const [bin, own] = [join(folder, "bin"), join(folder, host)];
  mkdirSync(own);
  const script =
    `mount -t tmpfs tmpfs /run && mount --bind ${own} ${CONFIGURATION} && echo up && ` +
    "exec sleep infinity";
  const child = Bun.spawn([
    ...network.enter(host),
    ...["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"],
    ...["sh", "-c", script],
  ], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  stack.defer(() => killTree(child.pid));
  await child.stdout.getReader().read();
  const inner = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim();
  return {
    attempt: async (command) => {
      const done = Bun.spawn(
        ["nsenter", "-t", inner, "-n", "-m", "-p", "--", "sh", "-c", `exec 2>&1; ${command}`],
        {
          stdin: "ignore",
          stdout: "pipe",
          env: { PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin`, LC_ALL: "C.UTF-8" },
        },
      );
      const text = await new Response(done.stdout).text();
      return { status: await done.exited, text };
    },
    write: (path, text) => writeFileSync(path.replace(CONFIGURATION, own), text),
  };
}

/** Directors, web servers that know only the second link, and bare hosts. */
async function makeLab(
  lab: Guide["lab"],
  stack: AsyncDisposableStack,
): Promise<Map<string, Place>> {
  const folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-guide-`));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "bin"));
  for (const name of ["upkeep", "keepalived"]) symlinkSync(UPKEEP, join(folder, "bin", name));
  const network = stack.use(new Network([...lab.keys()], { hasSecondLink: true }));
  const backends = stack.use(new Backends(network));
  const places = new Map<string, Place>();
  for (const [host, role] of lab) {
    if (role === "web") {
      network.run(host, "ip", "link", "set", "eth0", "down");
      await backends.http(host, "0.0.0.0", 80);
    }
    places.set(host, await makePlace(network, host, folder, stack));
  }
  return places;
}

for (const guide of readGuides()) {
  if (![...guide.lab.values()].includes("director")) continue;
  test.skipIf(!IN_GUEST)(`${guide.name} does what it says`, async () => {
    await using stack = new AsyncDisposableStack();
    await follow(guide, await makeLab(guide.lab, stack), PATIENCE_MS);
  });
}
