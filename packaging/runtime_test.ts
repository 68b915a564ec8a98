/** The Bun for another machine is taken only with the digest that the lock file has. */

import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MACHINES } from "./machines.ts";
import { runtimeFor } from "./runtime.ts";

const NAME = "@oven/bun-linux-aarch64";
const ARM64 = MACHINES.find(({ name }) => name === "arm64")!;

/** A project that has fetched an archive already, with a program in it, and a lock file that says its digest. */
async function withArchive(
  digestOf: (archive: Uint8Array) => string,
  act: (root: string, archive: string) => Promise<void>,
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "upkeep-runtime-"));
  try {
    const [cache, bin] = [join(root, "node_modules/.cache/upkeep"), join(root, "package/bin")];
    for (const folder of [cache, bin]) mkdirSync(folder, { recursive: true });
    writeFileSync(join(bin, "bun"), "the program");
    const archive = join(cache, "oven-bun-linux-aarch64-1.2.3.tgz");
    expect(Bun.spawnSync(["tar", "-czf", archive, "-C", root, "package"]).exitCode).toBe(0);
    const integrity = `sha512-${digestOf(readFileSync(archive))}`;
    const packages = { [`node_modules/${NAME}`]: { version: "1.2.3", integrity } };
    writeFileSync(join(root, "package-lock.json"), JSON.stringify({ packages }));
    await act(root, archive);
  } finally {
    rmSync(root, { recursive: true });
  }
}

const digest = (bytes: Uint8Array): string => createHash("sha512").update(bytes).digest("base64");

test("what has the digest is unpacked, once", async () => {
  await withArchive(digest, async (root) => {
    const runtime = await runtimeFor(ARM64, root);
    expect(readFileSync(runtime.path, "utf8")).toBe("the program");
    expect(runtime.version).toBe("1.2.3");
    expect(await runtimeFor(ARM64, root)).toEqual(runtime);
  });
});

test("what has another is refused and not kept", async () => {
  await withArchive(() => digest(new Uint8Array(1)), async (root, archive) => {
    await expect(runtimeFor(ARM64, root)).rejects.toThrow(`${NAME}: its digest is `);
    expect(existsSync(archive)).toBe(false);
    expect(existsSync(join(root, "node_modules/.cache/upkeep/oven-bun-linux-aarch64-1.2.3"))).toBe(
      false,
    );
  });
});

test("what the lock file does not know is not looked for", async () => {
  await withArchive(digest, async (root) => {
    writeFileSync(join(root, "package-lock.json"), '{ "packages": {} }');
    await expect(runtimeFor(ARM64, root)).rejects.toThrow(
      `package-lock.json does not know ${NAME}`,
    );
  });
});
