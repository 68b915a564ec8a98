/** The bill of materials in CycloneDX 1.6 (ECMA-424): what the executable and the images are made of. */

import { createHash } from "node:crypto";
import { bundledLibraries, type Component, runtimeLibraries, takenOver } from "./licences.ts";
import type { Machine } from "./machines.ts";
import type { Runtime } from "./runtime.ts";

/** What a bill is about. */
export interface BillSubject {
  readonly root: string;
  readonly version: string;
  /** Seconds since 1970. */
  readonly time: number;
  readonly runtimes: readonly (readonly [Machine, Runtime])[];
  /** Hexadecimal SHA-256 of each executable, by the machine's name. */
  readonly executables: ReadonlyMap<string, string>;
  /** Version of the C library in the minimal root, by the machine's name. */
  readonly libraries: ReadonlyMap<string, string>;
}

/** The bill as JSON text; the same subject gives the same text. */
export function billOfMaterials(subject: BillSubject): string {
  const { root, version, time, runtimes, executables } = subject;
  const bunVersion = runtimes[0]?.[1].version ?? "";
  const own = { type: "application", "bom-ref": "upkeep", name: "upkeep", version };
  const libraries = bundledLibraries(root).map((one) => ({
    ...componentOf(one, "library"),
    components: takenOver(one.name).map((part) => componentOf(part, "library", one.name)),
  }));
  const inside = runtimeLibraries(root, bunVersion).map((one) => componentOf(one, "library"));
  const bun = {
    type: "framework",
    "bom-ref": `pkg:npm/bun@${bunVersion}`,
    name: "bun",
    version: bunVersion,
    purl: `pkg:npm/bun@${bunVersion}`,
    licenses: [{ license: { id: "MIT" } }],
    hashes: [],
    components: inside,
  };
  const packages = runtimes.map(([machine, { integrity }]) => ({
    type: "file",
    "bom-ref": `bun-linux-${machine.bun}`,
    name: `@oven/bun-linux-${machine.bun}`,
    version: bunVersion,
    purl: `pkg:npm/%40oven/bun-linux-${machine.bun}@${bunVersion}`,
    hashes: [hashOf(integrity)],
  }));
  const files = [...executables].map(([name, sha256]) => ({
    type: "file",
    "bom-ref": `upkeep-${name}`,
    name: `upkeep (${name})`,
    hashes: [{ alg: "SHA-256", content: sha256 }],
  }));
  const roots = [...subject.libraries].map(([name, libcVersion]) => ({
    type: "library",
    "bom-ref": `glibc-${name}`,
    name: "glibc",
    version: libcVersion,
    description: `in upkeep-appliance-${name}.tar.zst and the image`,
    licenses: [{ license: { id: "LGPL-2.1-or-later" } }],
    externalReferences: [{ type: "website", url: "https://www.gnu.org/software/libc/" }],
  }));
  const components = [...libraries, bun, ...packages, ...files, ...roots];
  const bill = {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify([version, components]))}`,
    version: 1,
    metadata: {
      timestamp: new Date(time * 1000).toISOString().replace(".000", ""),
      component: { ...own, licenses: [{ license: { id: "MIT" } }] },
    },
    components,
    dependencies: [
      { ref: "upkeep", dependsOn: [...libraries, bun].map((one) => one["bom-ref"]) },
    ],
  };
  return `${JSON.stringify(bill, undefined, 2)}\n`;
}

function componentOf(component: Component, type: string, inside = "bun"): { "bom-ref": string } {
  const { name, version, licence, home, integrity } = component;
  const purl = integrity === undefined
    ? undefined
    : `pkg:npm/${name.replace("@", "%40")}@${version}`;
  return {
    type,
    "bom-ref": purl ?? `${inside}/${name}`,
    name,
    ...(version === undefined ? {} : { version }),
    ...(purl === undefined ? {} : { purl }),
    licenses: [
      / (AND|WITH) /.test(licence) ? { expression: licence } : { license: { id: licence } },
    ],
    ...(integrity === undefined ? {} : { hashes: [hashOf(integrity)] }),
    externalReferences: home === undefined ? [] : [{ type: "website", url: home }],
  } as { "bom-ref": string };
}

/** `sha512-BASE64` as CycloneDX writes it. */
function hashOf(integrity: string): { alg: string; content: string } {
  const digest = integrity.slice(integrity.indexOf("-") + 1);
  return { alg: "SHA-512", content: Buffer.from(digest, "base64").toString("hex") };
}

/** RFC 9562 version 8: made from a digest, so that the same bill has the same number. */
function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
  ];
  return [...parts, hex.slice(20, 32)].join("-");
}
