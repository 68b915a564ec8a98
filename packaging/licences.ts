/** What the executable is made of and under which licences: the copyright file and its data. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A piece of other people's software in the executable. */
export interface Component {
  readonly name: string;
  /** Where it has one of its own. */
  readonly version?: string;
  /** SPDX expression. */
  readonly licence: string;
  readonly home?: string;
  /** As npm writes digests, for what comes from its registry. */
  readonly integrity?: string;
  /** The licence's own text with its copyright line, for what brings one. */
  readonly text?: string;
}

/** The libraries of package.json's `dependencies`, which the bundler joins to our code. */
export function bundledLibraries(root: string): Component[] {
  const read = (path: string): string => readFileSync(join(root, path), "utf8");
  const lock = JSON.parse(read("package-lock.json"));
  const manifest = JSON.parse(read("package.json"));
  return Object.keys(manifest.dependencies ?? {}).sort().map((name) => {
    const folder = `node_modules/${name}`;
    const { version, license, integrity } = lock.packages[folder];
    const file = readdirSync(join(root, folder)).find((one) => /^licen[cs]e/i.test(one));
    if (file === undefined) throw new Error(`${name} brings no licence`);
    const home = `https://www.npmjs.com/package/${name}`;
    return { name, version, licence: license, integrity, home, text: read(`${folder}/${file}`) };
  });
}

/** What a library has taken over from others, by notices of their own in its code. */
const TAKEN_OVER: Readonly<Record<string, readonly Component[]>> = {
  nodemailer: [{
    name: "punycode.js",
    licence: "MIT",
    home: "https://github.com/mathiasbynens/punycode.js",
    text: "Copyright Mathias Bynens <https://mathiasbynens.be/>",
  }],
};

/** What is inside a library that is not its authors'. */
export function takenOver(library: string): readonly Component[] {
  return TAKEN_OVER[library] ?? [];
}

/** What the runtime is linked with; the list belongs to the version it names. */
export function runtimeLibraries(root: string, version: string): Component[] {
  const file = join(root, "packaging/licences/bun.tsv");
  if (!existsSync(file)) throw new Error(`${file} is missing`);
  const [head = "", ...rows] = readFileSync(file, "utf8").trim().split("\n");
  if (!head.includes(`Bun ${version} `)) {
    throw new Error(
      `${file} is not about Bun ${version}: compare it with that version's LICENSE.md`,
    );
  }
  return rows.map((row) => {
    const [name = "", licence = "", home = ""] = row.split("\t");
    return { name, licence, home };
  });
}

/** Debian's machine-readable copyright file (DEP-5). */
export function copyrightFile(root: string, bunVersion: string): string {
  const libraries = bundledLibraries(root);
  const own = readFileSync(join(root, "LICENSE"), "utf8");
  const mit = readFileSync(join(root, "packaging/licences/MIT.txt"), "utf8");
  const holder = (text: string): string =>
    /^Copyright.*$/m.exec(text.replaceAll("(c) ", ""))?.[0].replace("Copyright ", "") ?? "unknown";
  const paragraphs = [
    `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: upkeep\nComment:\n${
      indented(`/usr/sbin/upkeep is one executable: upkeep's code and the libraries below, joined to
the Bun runtime ${bunVersion}, which is MIT licensed and statically linked with the libraries listed
under it. JavaScriptCore and TinyCC are under the LGPL: upkeep's code is free too, and its
packaging/build.sh joins it to any Bun that you have changed and built yourself
(--compile-executable-path); the source of that JavaScriptCore is at
https://github.com/oven-sh/WebKit.`)
    }`,
    `Files: *\nCopyright: ${holder(own)}\nLicense: MIT`,
    ...libraries.map(({ name, version, licence, text = "" }) =>
      [
        `Files: node_modules/${name}/*\nCopyright: ${
          holder(text)
        }\nLicense: ${licence}\nComment: version ${version}`,
        ...takenOver(name).map((one) =>
          `Files: node_modules/${name}/*/${one.name}\nCopyright: ${
            holder(one.text ?? "")
          }\nLicense: ${one.licence}\nComment: from ${one.home}`
        ),
      ].join("\n\n")
    ),
    `Files: node_modules/bun/*\nCopyright: Oven and the contributors to Bun\nLicense: MIT\nComment:\n${
      indented(
        [
          "Linked with",
          ...runtimeLibraries(root, bunVersion).map(({ name, licence, home }) =>
            `${name}: ${licence}, ${home}`
          ),
        ].join("\n"),
      )
    }`,
    `License: MIT\n${indented(mit)}`,
    ...[...otherTexts(libraries)].map(([licence, text]) =>
      `License: ${licence}\n${indented(text)}`
    ),
    ...[["LGPL-2.0-only", "LGPL-2"], ["LGPL-2.1-only", "LGPL-2.1"], ["Apache-2.0", "Apache-2.0"]]
      .map(([licence, file]) =>
        `License: ${licence}\n${
          indented(
            `The text is in /usr/share/common-licenses/${file} on Debian, and in\n/usr/share/licenses/upkeep elsewhere.`,
          )
        }`
      ),
  ];
  return `${paragraphs.join("\n\n")}\n`;
}

/** The text of each licence but MIT that a library is under, without its copyright line. */
function otherTexts(libraries: readonly Component[]): ReadonlyMap<string, string> {
  const others = libraries.filter(({ licence }) => licence !== "MIT");
  return new Map(
    others.map(({ licence, text = "" }) => [licence, text.replace(/^.*Copyright.*$/m, "")]),
  );
}

/** What lies in a root beside the executable and the C library: their licences, by file name. */
export function rootLicences(root: string, copyright: string): ReadonlyMap<string, string> {
  const library = `Files: lib/* lib64/*
Copyright: Free Software Foundation, Inc. and others
License: LGPL-2.1-only
Comment: the GNU C Library, https://www.gnu.org/software/libc/, as the machine that made this root has it
`;
  const names = ["Apache-2.0.txt", "LGPL-2.0.txt", "LGPL-2.1.txt"];
  return new Map([
    ["copyright", `${copyright}\n${library}`],
    ...names.map((name): [string, string] => [
      name,
      readFileSync(join(root, "packaging/licences", name), "utf8"),
    ]),
  ]);
}

/** A field's text: each line indented, empty ones marked by a dot. */
function indented(text: string): string {
  return text.trim().split("\n").map((line) => line.trim() === "" ? " ." : ` ${line}`).join("\n");
}
