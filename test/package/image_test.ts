/** The minimal roots: what is in them, that it is enough, and the OCI image made of them. */

import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";
import { Container, statusOf } from "./booted.ts";
import { artefact, attempt, run, scratch } from "./lab.ts";

const VIP = "10.0.0.100/24";

function configOf(priority: number): string {
  return `vrrp_instance VI_1 {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority ${priority}
  advert_int 0.1
  version 3
  virtual_ipaddress {
    ${VIP}
  }
}
`;
}

/** The image's parts, by digest. */
interface Image {
  readonly folder: string;
  readonly index: { manifests: { digest: string; platform: { architecture: string } }[] };
  read(digest: string): Uint8Array;
  json(digest: string): Record<string, unknown>;
}

async function unpackImage(): Promise<Image> {
  const folder = scratch("oci");
  await run(["tar", "-xf", await artefact(/oci\.tar$/), "-C", folder]);
  const read = (digest: string): Uint8Array =>
    readFileSync(join(folder, "blobs", ...digest.split(":") as [string, string]));
  const json = (digest: string): Record<string, unknown> =>
    JSON.parse(new TextDecoder().decode(read(digest)));
  const top = JSON.parse(readFileSync(join(folder, "index.json"), "utf8"));
  return { folder, index: json(top.manifests[0].digest) as Image["index"], read, json };
}

/** The root of one machine from the image's layer. */
async function rootOf(image: Image, machine: string): Promise<string> {
  const manifest = image.index.manifests.find((one) => one.platform.architecture === machine);
  const { layers } = image.json(manifest!.digest) as { layers: { digest: string }[] };
  const root = scratch("appliance");
  const blob = join(image.folder, "blobs", ...layers[0]!.digest.split(":") as [string, string]);
  await run(["tar", "--zstd", "-xf", blob, "-C", root]);
  return root;
}

test("every blob of the image is what its digest and size say, and the layer what its diff id says", async () => {
  const image = await unpackImage();
  expect(JSON.parse(readFileSync(join(image.folder, "oci-layout"), "utf8")))
    .toEqual({ imageLayoutVersion: "1.0.0" });
  for (const name of readdirSync(join(image.folder, "blobs/sha256"))) {
    const digest = new Bun.CryptoHasher("sha256").update(image.read(`sha256:${name}`)).digest(
      "hex",
    );
    expect(digest).toBe(name);
  }
  expect(image.index.manifests.map(({ platform }) => platform.architecture)).toEqual([
    "amd64",
    "arm64",
  ]);
  for (const { digest } of image.index.manifests) {
    const manifest = image.json(digest) as {
      config: { digest: string; size: number };
      layers: { digest: string; size: number; mediaType: string }[];
    };
    for (const part of [manifest.config, ...manifest.layers]) {
      expect(image.read(part.digest).length).toBe(part.size);
    }
    const config = image.json(manifest.config.digest) as {
      rootfs: { diff_ids: string[] };
      config: { Entrypoint: string[]; StopSignal: string };
    };
    const tar = Bun.zstdDecompressSync(image.read(manifest.layers[0]!.digest));
    const diffId = new Bun.CryptoHasher("sha256").update(tar).digest("hex");
    expect(config.rootfs.diff_ids).toEqual([`sha256:${diffId}`]);
    expect(config.config.Entrypoint[0]).toBe("/usr/sbin/keepalived");
  }
});

test("the root holds the executable and the C library, nothing else, and is the image's layer", async () => {
  const image = await unpackImage();
  const root = await rootOf(image, "amd64");
  const files = (await run(["find", ".", "!", "-type", "d"], { cwd: root })).trim().split("\n")
    .sort();
  expect(files).toEqual([
    "./lib/x86_64-linux-gnu/libc.so.6",
    "./lib/x86_64-linux-gnu/libdl.so.2",
    "./lib/x86_64-linux-gnu/libm.so.6",
    "./lib/x86_64-linux-gnu/libpthread.so.0",
    "./lib64/ld-linux-x86-64.so.2",
    "./usr/sbin/keepalived",
    "./usr/sbin/upkeep",
    "./usr/share/licenses/upkeep/Apache-2.0.txt",
    "./usr/share/licenses/upkeep/LGPL-2.0.txt",
    "./usr/share/licenses/upkeep/LGPL-2.1.txt",
    "./usr/share/licenses/upkeep/copyright",
  ]);
  const layers = readdirSync(join(image.folder, "blobs/sha256"))
    .map((name) => readFileSync(join(image.folder, "blobs/sha256", name)));
  const appliance = readFileSync(await artefact(/appliance-amd64/));
  expect(layers.some((layer) => layer.equals(appliance))).toBe(true);
});

test("it runs with nothing but /proc, and ends at once where that is not mounted", async () => {
  const root = await rootOf(await unpackImage(), "amd64");
  const script = 'mount -t proc proc "$0/proc" && exec env -i /usr/sbin/chroot "$0" "$@"';
  const enter = ["unshare", "--mount", "sh", "-c", script, root];
  const version = await attempt([...enter, "/usr/sbin/keepalived", "--version"]);
  expect(version.status).toBe(0);
  expect(version.text).toStartWith("Keepalived v");
  const check = await attempt([...enter, "/usr/sbin/upkeep", "-t", "-f", "/nothing"]);
  expect(check.text).toContain("/nothing");
  // Its first instructions say so, before the runtime aborts.
  for (
    const words of [["upkeep", "version"], ["upkeep", "-n"], ["keepalived"], ["keepalived", "-t"]]
  ) {
    const [name = "", ...others] = words;
    const bare = ["env", "-i", "/usr/sbin/chroot", root, `/usr/sbin/${name}`, ...others];
    expect(await attempt(bare)).toEqual({ status: 1, text: "upkeep: /proc is not mounted\n" });
  }
});

test("as process 1 of a container with two capabilities it takes over, collects orphans and stops", async () => {
  using network = new Network(["a", "b"]);
  const root = await rootOf(await unpackImage(), "amd64");
  mkdirSync(join(root, "etc/keepalived"), { recursive: true });
  const file = join(root, "etc/keepalived/keepalived.conf");
  writeFileSync(file, configOf(150));
  await using b = new Daemon(network, "b", configOf(100));
  await b.waitForLog("Entering MASTER STATE");
  const image = await unpackImage();
  const { config } = image.json(image.index.manifests[0]!.digest) as { config: { digest: string } };
  const { Entrypoint } = (image.json(config.digest) as { config: { Entrypoint: string[] } }).config;
  await using a = new Container(network, "a", root, { words: Entrypoint });
  const init = await a.init();
  await poll(() => network.addresses("a").includes(VIP), 5000, "the container holds the address");
  // CAP_NET_ADMIN is 12, CAP_NET_RAW 13.
  expect(/^CapEff:\t0*(\w+)$/m.exec(statusOf(init))?.[1]).toBe("3000");
  expect(/^CapBnd:\t0*(\w+)$/m.exec(statusOf(init))?.[1]).toBe("3000");

  // A child whose parent has gone becomes a child of process 1, which collects it when it ends.
  const strangers = (): number[] =>
    allChildrenOf(init).filter((pid) => /^Name:\tsleep$/m.test(statusOf(pid)));
  const script = "sleep 0.5 >/dev/null 2>&1 &";
  await run(["nsenter", "-t", String(init), "-p", "--", "sh", "-c", script]);
  await poll(() => strangers().length === 1, 3000, "no orphan has come");
  await poll(() => strangers().length === 0, 3000, "the orphan was not collected");

  writeFileSync(file, configOf(150).replace("100/24", "101/24"));
  process.kill(init, "SIGHUP");
  await poll(() => network.addresses("a").includes("10.0.0.101/24"), 5000, "HUP is heard");
  process.kill(init, "SIGTERM");
  const { status, text } = await a.ended();
  expect(status).toBe(0);
  expect(text).toContain("Entering MASTER STATE");
  expect(text).not.toContain("EPERM");
  await b.waitForLog("Entering MASTER STATE");
  expect(network.addresses("a")).not.toContain(VIP);
  expect(existsSync(join(root, "run/keepalived.pid"))).toBe(false);
});

/** Its children, also those that have ended and that nobody has collected. */
function allChildrenOf(pid: number): number[] {
  const ids = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
  return ids.map(Number);
}
