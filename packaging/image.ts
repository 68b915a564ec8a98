/**
 * Roots that hold the executable and what it needs, nothing else: as an archive to be unpacked, and as
 * an OCI image (image-spec 1.1) whose one layer that archive is.
 */

import { createHash } from "node:crypto";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import type { Machine } from "./machines.ts";
import { type TarEntry, writeTar } from "./tar.ts";

/** What Bun is linked with: ld.so and four libraries, all of the C library. */
const LIBRARIES = ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0"];

/** Where a machine's C library may lie: Debian's own place, Fedora's, and Debian's for cross builds. */
function libraryFolders({ triplet, node }: Machine): string[] {
  const native = process.arch === node ? [`/lib/${triplet}`, "/lib64"] : [];
  return [...native, `/usr/${triplet}/lib`];
}

/** The C library's files on this computer by name; undefined when it has none for that machine. */
function findLibraries(machine: Machine): Map<string, string> | undefined {
  const loader = machine.loader.slice(machine.loader.lastIndexOf("/") + 1);
  const names = [loader, ...LIBRARIES];
  const folder = libraryFolders(machine).find((one) =>
    names.every((name) => existsSync(`${one}/${name}`))
  );
  return folder === undefined
    ? undefined
    : new Map(names.map((name) => [name, realpathSync(`${folder}/${name}`)]));
}

/** The version of the C library in the root for that machine; undefined as for applianceEntries. */
export function libraryVersion(machine: Machine): string | undefined {
  const path = findLibraries(machine)?.get("libc.so.6");
  if (path === undefined) return undefined;
  const text = readFileSync(path).toString("latin1");
  return /GNU C Library \(([^)]+)\)/.exec(text)?.[1] ??
    /stable release version ([\d.]+)/.exec(text)?.[1];
}

/**
 * The members of the root: the executable under both names, the C library, their licences by file name,
 * and empty folders for what is mounted or written. Undefined when this computer has no C library for that machine.
 */
export function applianceEntries(
  machine: Machine,
  executable: Uint8Array,
  licences: ReadonlyMap<string, string>,
): TarEntry[] | undefined {
  const libraries = findLibraries(machine);
  if (libraries === undefined) return undefined;
  const loaderFolder = machine.loader.slice(1, machine.loader.lastIndexOf("/"));
  const loader = machine.loader.slice(machine.loader.lastIndexOf("/") + 1);
  const folder = (path: string, mode = 0o755): TarEntry => ({ path: `${path}/`, mode });
  const files = [...libraries].map(([name, path]): TarEntry => ({
    path: name === loader ? `${loaderFolder}/${name}` : `lib/${machine.triplet}/${name}`,
    mode: 0o755,
    data: readFileSync(path),
  }));
  return [
    ...["dev", "etc", "etc/keepalived", "lib", `lib/${machine.triplet}`].map((path) =>
      folder(path)
    ),
    ...(loaderFolder === "lib" ? [] : [folder(loaderFolder)]),
    ...files,
    ...["proc", "run", "sys"].map((path) => folder(path)),
    folder("tmp", 0o1777),
    ...["usr", "usr/sbin", "usr/share", "usr/share/licenses", "usr/share/licenses/upkeep"]
      .map((path) => folder(path)),
    ...[...licences].map(([name, text]): TarEntry => ({
      path: `usr/share/licenses/upkeep/${name}`,
      mode: 0o644,
      data: new TextEncoder().encode(text),
    })),
    { path: "usr/sbin/upkeep", mode: 0o755, data: executable },
    { path: "usr/sbin/keepalived", link: "upkeep" },
  ];
}

/** A root for one machine, packed. */
export interface Layer {
  readonly machine: Machine;
  /** The tar archive's SHA-256, in hexadecimal. */
  readonly diffId: string;
  /** The archive packed with zstd. */
  readonly packed: Uint8Array;
}

/**
 * An OCI image layout as a tar archive, with one manifest a machine. `podman load` and
 * `skopeo copy oci-archive:FILE …` read it.
 */
export function ociArchive(layers: readonly Layer[], version: string, time: number): Uint8Array {
  const blobs = new Map<string, Uint8Array>();
  const add = (mediaType: string, data: Uint8Array): Descriptor => {
    const digest = sha256(data);
    blobs.set(digest, data);
    return { mediaType, digest: `sha256:${digest}`, size: data.length };
  };
  const created = new Date(time * 1000).toISOString();
  const manifests = layers.map(({ machine, diffId, packed }) => {
    const layer = add("application/vnd.oci.image.layer.v1.tar+zstd", packed);
    const config = add(
      "application/vnd.oci.image.config.v1+json",
      json(configOf(machine, diffId, created)),
    );
    const manifest = add(
      "application/vnd.oci.image.manifest.v1+json",
      json({
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        config,
        layers: [layer],
      }),
    );
    return { ...manifest, platform: { architecture: machine.name, os: "linux" } };
  });
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const index = add(mediaType, json({ schemaVersion: 2, mediaType, manifests }));
  const named = { ...index, annotations: { "org.opencontainers.image.ref.name": version } };
  const file = (path: string, data: Uint8Array): TarEntry => ({ path, mode: 0o644, data });
  return writeTar([
    file("oci-layout", json({ imageLayoutVersion: "1.0.0" })),
    file("index.json", json({ schemaVersion: 2, mediaType, manifests: [named] })),
    { path: "blobs/", mode: 0o755 },
    { path: "blobs/sha256/", mode: 0o755 },
    ...[...blobs].map(([digest, data]) => file(`blobs/sha256/${digest}`, data)),
  ], time);
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

function configOf({ name }: Machine, diffId: string, created: string): object {
  return {
    created,
    architecture: name,
    os: "linux",
    config: {
      Entrypoint: ["/usr/sbin/keepalived", "--dont-fork", "--log-console", "--no-syslog"],
      WorkingDir: "/",
      StopSignal: "SIGTERM",
      Volumes: { "/etc/keepalived": {} },
    },
    rootfs: { type: "layers", diff_ids: [`sha256:${diffId}`] },
    history: [{ created, created_by: "npm run package" }],
  };
}

function json(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** In hexadecimal. */
export function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
