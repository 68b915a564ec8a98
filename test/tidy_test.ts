/**
 * The rules of docs/ARCHITECTURE.md that a machine can check, over every TypeScript file of ours.
 *
 * There is no compiler API to lean on, so a small scanner blanks comments, strings and regular
 * expressions (keeping every offset) and the rules are searches in what is left. A rule is a
 * function from one file to its breaches; the seeds at the end show that each of them bites.
 */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { posix, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");

/** Files that may be longer than the limits, each with the reason. */
const LONG: Readonly<Record<string, string>> = {};

// ---------------------------------------------------------------------------------------------
// The scanner
// ---------------------------------------------------------------------------------------------

interface Comment {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

interface Import {
  readonly at: number;
  /** Where it points: a path from the root for a relative specifier, else the specifier itself. */
  readonly target: string;
  readonly specifier: string;
  readonly clause: string;
  readonly typeOnly: boolean;
  readonly isExport: boolean;
}

interface Source {
  readonly path: string;
  readonly text: string;
  /** The text with comments, string contents and regular expressions blanked, offset for offset. */
  readonly code: string;
  readonly comments: readonly Comment[];
  readonly imports: readonly Import[];
}

const BEFORE_REGEX = new Set(
  "return typeof case in of do else new void delete throw yield await instanceof".split(" "),
);

/** Blanks everything that is not code; template placeholders stay code. */
function blank(text: string): { code: string; comments: Comment[] } {
  const comments: Comment[] = [];
  const pieces: string[] = [];
  const templates: number[] = []; // the brace depth at which each open template goes on
  let depth = 0;
  let last = ""; // the last significant character or word, which tells a division from a regex
  let at = 0;

  const skipTo = (end: number, keep: number): void => {
    const spaces = text.slice(at + keep, end - keep).replace(/[^\n]/g, " ");
    pieces.push(
      text.slice(at, at + keep),
      spaces,
      text.slice(Math.max(at + keep, end - keep), end),
    );
    at = end;
  };
  const match = (pattern: RegExp): number => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0].length ?? 0;
  };

  while (at < text.length) {
    const comment = match(/\/\/[^\n]*|\/\*[^]*?\*\//y);
    if (comment > 0) {
      comments.push({ start: at, end: at + comment, text: text.slice(at, at + comment) });
      skipTo(at + comment, 0);
      continue;
    }
    const string = match(/"(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*'/y);
    const divides = /^[\w$)\]]/.test(last) && !BEFORE_REGEX.has(last);
    const regex = divides ? 0 : match(/\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y);
    const resumes = text[at] === "}" && templates.at(-1) === depth;
    if (string > 0 || regex > 0) {
      skipTo(at + Math.max(string, regex), 1);
      last = ")";
    } else if (text[at] === "`" || resumes) {
      if (resumes) templates.pop();
      const opener = resumes ? "}" : "`";
      const length = match(/[`}](?:[^`\\$]|\\[^]|\$(?!\{))*(?:`|\$\{)/y);
      const opens = text[at + length - 1] === "{";
      if (length === 0) throw new Error(`unclosed template at offset ${at}`);
      if (opens) templates.push(depth);
      const end = at + length;
      pieces.push(opener === "}" ? " " : "`");
      at++;
      skipTo(end - (opens ? 2 : 1), 0);
      pieces.push(opens ? "  " : "`");
      at = end;
      last = opens ? "(" : ")";
    } else {
      const length = Math.max(1, match(/[\w$]+/y));
      const word = text.slice(at, at + length);
      if (word === "{") depth++;
      if (word === "}") depth--;
      const postfix = word === "!" && /[\w$)\]]/.test(text[at - 1] ?? "");
      if (word.trim() !== "" && !postfix) last = word;
      pieces.push(word);
      at += length;
    }
  }
  return { code: pieces.join(""), comments };
}

function scan(path: string, text: string): Source {
  const { code, comments } = blank(text);
  const imports: Import[] = [];
  const patterns = [
    /^(?<word>import|export)\s+(?<clause>[\w\s{},*$]*?)\s*\bfrom\s*(?<q>["'])(?<spec> *)\k<q>/dgm,
    /^(?<word>import)(?<clause>)\s*(?<q>["'])(?<spec> *)\k<q>/dgm,
    /(?<clause>\btypeof\s+)?\b(?<word>import)\s*\(\s*(?<q>["'])(?<spec> *)\k<q>/dgm,
  ];
  for (const pattern of patterns) {
    for (const found of code.matchAll(pattern)) {
      const [from, to] = found.indices?.groups?.["spec"] ?? [0, 0];
      const specifier = text.slice(from, to);
      const clause = found.groups?.["clause"] ?? "";
      imports.push({
        at: found.index,
        target: specifier.startsWith(".")
          ? posix.normalize(posix.join(posix.dirname(path), specifier))
          : specifier,
        specifier,
        clause,
        typeOnly: /^type(of)?\s/.test(clause),
        isExport: found.groups?.["word"] === "export",
      });
    }
  }
  return { path, text, code, comments, imports };
}

function lineAt(source: Source, offset: number): number {
  return source.text.slice(0, offset).split("\n").length;
}

/** The offset of the bracket that closes the one at `open`; the end of the code without one. */
function closeOf(code: string, open: number): number {
  let depth = 0;
  for (let i = open; i < code.length; i++) {
    if ("([{".includes(code[i] ?? "")) depth++;
    else if (")]}".includes(code[i] ?? "") && --depth === 0) return i;
  }
  return code.length;
}

/** The opening brace of a body after a parameter list and perhaps a return type. */
function bodyAfter(code: string, from: number): number | undefined {
  let angles = 0;
  let last = "";
  for (let i = from; i < code.length; i++) {
    const c = code[i] ?? "";
    if (c.trim() === "") continue;
    if (last === "" && c !== ":" && c !== "{") return undefined;
    if (c === "{") {
      if (last === "=>") return undefined; // the body of an arrow
      if (last === "" || !":|&<,?".includes(last)) return i;
      i = closeOf(code, i);
    } else if (c === "(" || c === "[") {
      i = closeOf(code, i);
    } else if (code.startsWith("=>", i)) {
      i++;
      last = "=>";
      continue;
    } else if (c === "<") {
      angles++;
    } else if (c === ">") {
      angles--;
    } else if (c === "=" || ";})]".includes(c) || (c === "," && angles === 0)) {
      return undefined;
    }
    last = code[i] ?? "";
  }
  return undefined;
}

/** First and last offset of everything with parameters and a body. */
function functionsOf(code: string): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = [];
  for (const arrow of code.matchAll(/=>\s*\{/g)) {
    found.push({ start: arrow.index, end: closeOf(code, arrow.index + arrow[0].length - 1) });
  }
  for (const open of code.matchAll(/([\w$]*)\s*\(/g)) {
    if (/^(if|for|while|switch|catch|await)$/.test(open[1] ?? "")) continue;
    const body = bodyAfter(code, closeOf(code, open.index + open[0].length - 1) + 1);
    if (body !== undefined) found.push({ start: open.index, end: closeOf(code, body) });
  }
  return found;
}

// ---------------------------------------------------------------------------------------------
// Who may import whom
// ---------------------------------------------------------------------------------------------

interface Room {
  readonly name: string;
  readonly where: RegExp;
  /** What may be imported as values; what besides that as types only; what never. */
  readonly values: RegExp;
  readonly types?: RegExp;
  readonly never?: RegExp;
  /** Modules that are not files of ours. */
  readonly modules?: RegExp;
  /** No system access of any kind. */
  readonly pure?: true;
}

const NOTHING = /^$/;
const SYSTEM = /^(node:|bun$|bun:(?!ffi|test))/;
const SYSTEM_AND_LIBRARIES = /^(?!bun:ffi|bun:test)/;
const OTHERS_INSIDES = /\/(\w+_)?(perform|role|speaker)\.ts$/;
const TEST_FILE = /_test\.ts$/;

/** The first row whose `where` matches is the file's room. */
const ROOMS: readonly Room[] = [
  {
    name: "a test or bench",
    where: /_test\.ts$|^test\/|^bench\//,
    values: /^/,
    modules: /^(?!bun:ffi)/,
  },
  { name: "packaging", where: /^packaging\//, values: /^(src|ffi|packaging)\//, modules: SYSTEM },
  {
    name: "src/main.ts",
    where: /^src\/main\.ts$/,
    values: /^(src\/|ffi\/|package\.json)/,
    modules: SYSTEM_AND_LIBRARIES,
  },
  {
    name: "src/loop.ts, src/conductor.ts, src/nftables.ts",
    where: /^src\/(loop|conductor|nftables)\.ts$/,
    values: /^(ffi|src\/(lib|netlink))\//,
    types: /^src\/config\//,
    modules: SYSTEM,
  },
  ...["vrrp", "lvs"].flatMap((own): Room[] => {
    const around =
      `ffi/|src/(lib|wire|netlink|${own})/|src/nftables\\.ts|src/parent/(\\w+_)?channel\\.ts`;
    return [
      {
        name: `src/${own}/perform.ts and what it is made of`,
        where: new RegExp(
          `^src/${own}/(\\w+/)?(perform|\\w+_perform|ports|packets|announcer|conflicts)\\.ts$`,
        ),
        values: new RegExp(`^(${around})`),
        types: /^src\/(config\/|loop\.ts)/,
        never: /\/role\.ts$/,
        modules: SYSTEM,
      },
      {
        name: `src/${own}/role.ts, router.ts and their parts`,
        where: new RegExp(
          `^src/${own}/(\\w+/)?(role|router|balancer|reception|advertiser|leisure|link_watch|neighbourhood|footing|holdings|premises|rehearsal|routing|statics|start_delay|\\w+_speaker)\\.ts$`,
        ),
        values: new RegExp(`^(${around}|src/config/|src/(loop|conductor)\\.ts)`),
        modules: SYSTEM,
      },
      {
        name: `src/${own}`,
        where: new RegExp(`^src/${own}/`),
        values: new RegExp(`^src/(lib|netlink|${own})/`),
        types: /^src\/(wire|config)\//,
        never: OTHERS_INSIDES,
        pure: true,
      },
    ];
  }),
  { name: "src/lib", where: /^src\/lib\//, values: /^src\/lib\//, pure: true },
  { name: "src/config", where: /^src\/config\//, values: /^src\/(lib|config)\//, pure: true },
  ...["wire", "netlink", "report"].map((own): Room => ({
    name: `src/${own}`,
    where: new RegExp(`^src/${own}/`),
    values: new RegExp(`^src/(lib|${own})/`),
    types: /^src\//,
    pure: true,
  })),
  {
    name: "ffi",
    where: /^ffi\//,
    values: /^(ffi\/|src\/lib\/|src\/netlink\/message\.ts)/,
    modules: /^bun:ffi$/,
  },
  {
    name: "src/operate",
    where: /^src\/operate\//,
    values: /^(src\/|ffi\/|package\.json)/,
    types: /^src\//,
    never: /\/(perform|role)\.ts$|^src\/parent\/(?!((\w+_)?channel|stream)\.ts)/,
    modules: SYSTEM_AND_LIBRARIES,
  },
  {
    name: "src/parent or src/cli",
    where: /^src\/(parent|cli)\//,
    values: /^(src\/|ffi\/|package\.json)/,
    types: /^src\//,
    never: /\/(perform|role)\.ts$|^src\/operate\//,
    modules: SYSTEM_AND_LIBRARIES,
  },
];

function roomOf(path: string): Room | undefined {
  return ROOMS.find((room) => room.where.test(path));
}

/** Whether a room may have this import. */
function admits(room: Room, item: Import): boolean {
  if (!item.specifier.startsWith(".")) return (room.modules ?? NOTHING).test(item.target);
  if (item.typeOnly && (room.types ?? NOTHING).test(item.target)) return true;
  return room.values.test(item.target) && !(room.never ?? NOTHING).test(item.target);
}

// ---------------------------------------------------------------------------------------------
// The rules
// ---------------------------------------------------------------------------------------------

type Tree = ReadonlyMap<string, Source>;

interface Breach {
  readonly at: number;
  readonly say: string;
}

interface Rule {
  readonly name: string;
  readonly applies: (path: string) => boolean;
  readonly check: (source: Source, tree: Tree) => Breach[];
}

const everywhere = (): boolean => true;
const inTests = (path: string): boolean => /_test\.ts$|^(test|bench)\//.test(path);
const inProduct = (path: string): boolean => /^(src|ffi)\//.test(path) && !TEST_FILE.test(path);
const inPure = (path: string): boolean => roomOf(path)?.pure === true;

/** One breach for every place in the code where the pattern matches. */
function search(source: Source, pattern: RegExp, say: (found: string) => string): Breach[] {
  return [...source.code.matchAll(pattern)].map((m) => ({ at: m.index, say: say(m[0]) }));
}

function checkImports(source: Source): Breach[] {
  const room = roomOf(source.path);
  if (room === undefined) return [{ at: 0, say: "in no folder of ours; give it a row in ROOMS" }];
  return source.imports.filter((item) => !admits(room, item)).map((item) => ({
    at: item.at,
    say: `${room.name} may not import ${item.target}${item.typeOnly ? "" : " as a value"}; only ` +
      Object.entries({
        values: room.values,
        types: room.types,
        modules: room.modules,
        never: room.never,
      })
        .map(([what, where]) => where && `${what} ${where.source.replaceAll(/[\\^$]/g, "")}`)
        .filter(Boolean).join(", "),
  }));
}

function checkCycles(source: Source, tree: Tree): Breach[] {
  // The shortest way back to this file; reported once, by the first file of the ring.
  const cameFrom = new Map<string, string>();
  const queue = [source.path];
  for (const path of queue) {
    for (const { target } of tree.get(path)?.imports ?? []) {
      if (target === source.path) {
        const ring = [path];
        while (ring[0] !== source.path) ring.unshift(cameFrom.get(ring[0] ?? "") ?? source.path);
        if (ring.some((member) => member < source.path)) return [];
        const at = source.imports.find((item) => item.target === (ring[1] ?? target))?.at ?? 0;
        return [{ at, say: `${[...ring, target].join(" → ")}; move what both need to a third` }];
      }
      if (tree.has(target) && !cameFrom.has(target)) {
        cameFrom.set(target, path);
        queue.push(target);
      }
    }
  }
  return [];
}

function checkBarrel(source: Source): Breach[] {
  const rest = source.code
    .replace(/^(import|export)\s+[\w\s{},*$]*?\bfrom\s*["'] *["'];?/gm, "")
    .replace(/^(import\s*["'] *["']|export\s*\{[\w\s,]*\});?/gm, "");
  return rest.trim() === "" && /^export\b/m.test(source.code)
    ? [{ at: 0, say: "only re-exports; import the file that defines the thing" }]
    : [];
}

function checkSize(source: Source): Breach[] {
  const lines = source.text.trimEnd().split("\n").length;
  const breaches: Breach[] = lines < 500
    ? []
    : [{ at: 0, say: `${lines} lines; split it, a file stays under 500` }];
  for (const { start, end } of functionsOf(source.code)) {
    const length = lineAt(source, end) - lineAt(source, start) + 1;
    if (length >= 70) {
      breaches.push({ at: start, say: `function of ${length} lines; one stays under 70` });
    }
  }
  return breaches;
}

function checkDocs(source: Source): Breach[] {
  const breaches: Breach[] = [];
  const preface = source.comments[0];
  if (!preface?.text.startsWith("/**") || source.code.slice(0, preface.start).trim() !== "") {
    // A "#!" line is neither code nor comment to the scanner.
    if (!/^#![^\n]*\n\s*\/\*\*/.test(source.text)) {
      breaches.push({ at: 0, say: "open with a /** preface */: what the file is, its standard" });
    }
  }
  const seen = new Set<string>();
  const pattern = /^export\s+(?!type\s*\{|\{|\*)(?:[a-z]+\s+)*?(?:[a-z]+\*?\s+)([\w$]+)/gm;
  for (const found of source.code.matchAll(pattern)) {
    const name = found[1] ?? "";
    const doc = source.comments.findLast((comment) => comment.end <= found.index);
    const between = source.text.slice(doc?.end ?? 0, found.index);
    const has = doc?.text.startsWith("/**") && between.trim() === "" && doc !== preface;
    if (!has && !seen.has(name)) {
      breaches.push({ at: found.index, say: `${name} needs a /** doc comment */ of its own` });
    }
    seen.add(name);
  }
  return breaches;
}

function checkSwitches(source: Source): Breach[] {
  const breaches: Breach[] = [];
  for (const found of source.code.matchAll(/\bswitch\s*\(/g)) {
    const open = found.index + found[0].length - 1;
    const close = closeOf(source.code, open);
    const subject = source.code.slice(open + 1, close).trim();
    if (!/\.(type|name|kind)$/.test(subject)) continue;
    const start = source.code.indexOf("{", close);
    let body = source.code.slice(start + 1, closeOf(source.code, start));
    // Blank nested blocks: their `default` belongs to another switch.
    for (let inner = body.indexOf("{"); inner >= 0; inner = body.indexOf("{", inner)) {
      const end = closeOf(body, inner) + 1;
      body = body.slice(0, inner) + " ".repeat(end - inner) + body.slice(end);
    }
    const at = body.search(/\bdefault\s*:/);
    if (at >= 0) {
      breaches.push({
        at: start + 1 + at,
        say: `default in a switch over ${subject}; list the cases, so that a new one is an error`,
      });
    }
  }
  return breaches;
}

function checkTopLevelAwait(source: Source): Breach[] {
  const functions = functionsOf(source.code);
  return search(source, /\bawait\b/g, () => "await outside a function; no top-level await")
    .filter(({ at }) => !functions.some(({ start, end }) => start < at && at < end))
    .filter(({ at }) => !/=>[^;{]*$/.test(source.code.slice(0, at)));
}

const BANNED = /^(handles?|managers?|utils?|utility|utilities|helpers?)$/i;

function wordsOf(identifier: string): string[] {
  return identifier.replace(/([a-z0-9])([A-Z])/g, "$1 $2").split(" ");
}

function checkNames(source: Source): Breach[] {
  const file = posix.basename(source.path).replace(/\..*$/, "");
  const breaches: Breach[] = [];
  for (const folder of source.path.replace(/\.d?\.?ts$/, "").split("/")) {
    if (!/^[a-z][a-z0-9_]*$/.test(folder)) {
      breaches.push({ at: 0, say: `${folder} is not snake_case` });
    }
  }
  const bad = file.split("_").find((word) => BANNED.test(word));
  if (bad !== undefined) breaches.push({ at: 0, say: `"${bad}" says nothing; name what it is` });
  // Names with an underscore belong to the kernel or to keepalived and keep their spelling.
  for (const found of source.code.matchAll(/(?<![.\w$#])[A-Za-z$][A-Za-z0-9$]*\b(?!_)/g)) {
    const word = wordsOf(found[0]).find((w) => BANNED.test(w));
    if (word !== undefined) {
      breaches.push({ at: found.index, say: `${found[0]}: "${word}" says nothing; name the act` });
    }
  }
  const processing = /\bfunction\s+process(?![a-z])\w*/g;
  return [...breaches, ...search(source, processing, (found) => `${found}: name the act`)];
}

const ALONE = "comments speak of the project alone";

/** What a comment may not speak of, and what allows it all the same. */
const UNSPEAKABLE: readonly { word: RegExp; unless?: RegExp; say: string }[] = [
  { word: /\b(TODO|FIXME|XXX|HACK)\b/, say: "do it or leave it out" },
  { word: /(?<![\w&])#\d+\b|\b(issue|ticket|PR)s?\s+#?\d+/i, say: "say why instead of a number" },
  { word: /\b(claude|copilot|chatgpt|LLM|sub-?agents?|as instructed|the brief)\b/i, say: ALONE },
  {
    word: /\bagents?\b/i,
    unless: /snmp|agentx|relay/i,
    say: ALONE,
  },
  {
    word: /\bsessions?\b/i,
    unless: /bfd|tls|smtp|setsid|terminal|login|d-?bus|logind/i,
    say: ALONE,
  },
  { word: /\/work\/|\bhouse\.md\b|\bshared\/(reference|configs|lab)/, say: "not in the tree" },
];

function checkComments(source: Source): Breach[] {
  return source.comments.flatMap((comment) =>
    UNSPEAKABLE.flatMap(({ word, unless, say }) => {
      const found = word.exec(comment.text);
      if (found === null || unless?.test(`${source.path} ${comment.text}`)) return [];
      return [{ at: comment.start + found.index, say: `"${found[0]}" in a comment; ${say}` }];
    })
  );
}

const GLOBALS = new RegExp(
  "(?<![.\\w$#])(?:" + [
    "Date",
    "performance",
    "Math\\s*\\.\\s*random",
    "setTimeout",
    "setInterval",
    "setImmediate",
    "queueMicrotask",
    "console",
    "process",
    "Promise",
    "async",
    "await",
    "Bun",
    "globalThis",
    "crypto",
    "fetch",
    "require",
  ].join("|") + ")(?![\\w$])",
  "g",
);

function checkGlobals(source: Source): Breach[] {
  return search(source, GLOBALS, (found) => `${found} in a pure file; pass it in as a value`)
    .filter(({ at }) => {
      // A member of that name is not the global: `{ process: 1 }`, `readonly process?: string`.
      const after = /^[\w$]+\s*\??:/.test(source.code.slice(at));
      return !(after && /([{,;]|\breadonly)\s*$/.test(source.code.slice(0, at)));
    });
}

const RULES: readonly Rule[] = [
  { name: "imports", applies: everywhere, check: checkImports },
  {
    name: "tests stand alone",
    applies: everywhere,
    check: (source) =>
      source.imports.filter((item) => TEST_FILE.test(item.target)).map((item) => ({
        at: item.at,
        say: `imports the test ${item.target}; what tests share belongs to test/support`,
      })),
  },
  {
    name: "import endings",
    applies: everywhere,
    check: (source) =>
      source.imports.filter((item) => /^\.[^]*\/[^.]*$/.test(item.specifier)).map((item) => ({
        at: item.at,
        say: `"${item.specifier}" names no file; write the ending, ".ts"`,
      })),
  },
  { name: "cycles", applies: everywhere, check: checkCycles },
  { name: "barrels", applies: everywhere, check: checkBarrel },
  { name: "pure", applies: inPure, check: checkGlobals },
  {
    name: "pointers",
    applies: (path) => !path.startsWith("ffi/"),
    check: (source) =>
      source.imports.filter((item) => item.target === "bun:ffi" && !item.typeOnly).map((item) => ({
        at: item.at,
        say: "bun:ffi and its ptr() stay in ffi/; add there what is missing",
      })),
  },
  {
    name: "natives",
    applies: (path) => path !== "ffi/native.ts",
    check: (source) =>
      search(source, /\bBun\b[^;\n]*\.\s*FFI\b/g, () => "Bun.FFI is for ffi/native.ts alone"),
  },
  {
    name: "console",
    applies: (path) => !path.startsWith("src/cli/"),
    check: (source) =>
      search(source, /(?<![.\w$])console\s*\./g, () => "console outside src/cli; log or write"),
  },
  {
    name: "exit",
    applies: (path) => path !== "src/main.ts" && !inTests(path),
    check: (source) =>
      search(
        source,
        /\bprocess\s*\.\s*(exit|abort|reallyExit)\b/g,
        (found) => `${found} outside src/main.ts; return a status or throw`,
      ),
  },
  {
    name: "size",
    // Keyword tables are as long as the language they describe.
    applies: (path) => !inTests(path) && !path.endsWith("_keywords.ts") && !(path in LONG),
    check: checkSize,
  },
  { name: "docs", applies: everywhere, check: checkDocs },
  { name: "switches", applies: inProduct, check: checkSwitches },
  { name: "top-level await", applies: inProduct, check: checkTopLevelAwait },
  { name: "names", applies: everywhere, check: checkNames },
  {
    name: "unfinished tests",
    applies: inTests,
    check: (source) =>
      search(
        source,
        /\b(test|it|describe)(\s*\.\s*\w+)*\s*\.\s*(skip|only|todo)\b/g,
        (found) => `${found}; a test runs or does not exist (skipIf for what a machine lacks)`,
      ),
  },
  { name: "comments", applies: everywhere, check: checkComments },
];

/** Every breach of one rule as "file:line: rule: what would be right". */
function breachesOf(rule: Rule, tree: Tree): string[] {
  const sources = [...tree.values()].filter(({ path }) => rule.applies(path));
  return sources.flatMap((source) =>
    rule.check(source, tree).map(({ at, say }) =>
      `${source.path}:${lineAt(source, at)}: ${rule.name}: ${say}`
    )
  );
}

function treeOf(files: Readonly<Record<string, string>>): Tree {
  return new Map(Object.entries(files).map(([path, text]) => [path, scan(path, text)]));
}

// ---------------------------------------------------------------------------------------------
// The tree itself
// ---------------------------------------------------------------------------------------------

const paths = [...new Bun.Glob("{src,ffi,test,bench,packaging}/**/*.ts").scanSync(ROOT)].sort();
const project = treeOf(
  Object.fromEntries(paths.map((path) => [path, readFileSync(resolve(ROOT, path), "utf8")])),
);

for (const rule of RULES) {
  test(`the tree keeps the rule: ${rule.name}`, () => {
    expect(breachesOf(rule, project).join("\n")).toBe("");
  });
}

test("every exemption from the size rule is a file that needs it", () => {
  const idle = Object.keys(LONG).filter((path) => {
    const source = project.get(path);
    return source === undefined || checkSize(source).length === 0;
  });
  expect(idle).toEqual([]);
});

// ---------------------------------------------------------------------------------------------
// Seeds: each rule bites
// ---------------------------------------------------------------------------------------------

test("the scanner blanks what is not code and moves nothing", () => {
  const rows: [string, string][] = [
    [`a = "x(" + 'y"'; // b`, `a = "  " + '  ';     `],
    ["a /* b\nc */ d", "a     \n     d"],
    ["x = `a ${b + `c ${d} e`} f`;", "x = `    b + `    d   `   `;"],
    ["x = `${{ a: 1 }.a}`;", "x = `  { a: 1 }.a `;"],
    ["a = b / c / d;", "a = b / c / d;"],
    ["a = b! / c / d;", "a = b! / c / d;"],
    ["a = /[/\"]'/g.test(b);", "a = /       .test(b);".replace("/       ", "/      g")],
    ['return /\\/"/;', "return /   /;"],
    ["x = (a) / 2; // it's", "x = (a) / 2;        "],
    ["`$`; `\\``; `$${a}`", "` `; `  `; `   a `"],
    [`"\\\\"; "a"`, `"  "; " "`],
  ];
  for (const [text, code] of rows) expect(blank(text).code).toBe(code);
  for (const { text, code } of project.values()) {
    expect(code.length).toBe(text.length);
    expect(code.split("\n").length).toBe(text.split("\n").length);
  }
});

test("the scanner reads every form of import", () => {
  const source = scan(
    "src/vrrp/a.ts",
    [
      `import x, { y } from "./b.ts";`,
      `import type { A } from "../wire/c.ts";`,
      `import {\n  type B,\n  z,\n} from '../lib/d.ts';`,
      `import "bun:test";`,
      `export * from "./e.ts";`,
      `export type { C } from "./f.ts";`,
      `const lazy = () => import("commander");`,
      `type T = typeof import("./g.ts");`,
      `const not = 'import x from "./h.ts"'; // import "./i.ts"`,
    ].join("\n"),
  );
  const read = source.imports.map((i) => `${i.typeOnly ? "type " : ""}${i.target}`).sort();
  expect(read).toEqual([
    "bun:test",
    "commander",
    "src/lib/d.ts",
    "src/vrrp/b.ts",
    "src/vrrp/e.ts",
    "type src/vrrp/f.ts",
    "type src/vrrp/g.ts",
    "type src/wire/c.ts",
  ]);
});

test("the scanner finds functions whatever their shape", () => {
  const shapes = [
    "function f(a: { b: number }): { c: number } | undefined {\n}",
    "async function* f<T extends { a: 1 }>(a = { b: 1 }): AsyncGenerator<{ a: T }, void> {\n}",
    "const f = (a: number): string => {\n};",
    "const f = async a => {\n};",
    "const f = (a): (() => void) => {\n};",
    "function f(a: number): () => number {\n}",
    "class C {\n m(): asserts this is D {\n }\n}",
    "class C {\n #m(a: string) {\n }\n}",
    "const o = { get a(): Map<string, number[]> {\n } };",
  ];
  for (const shape of shapes) expect([shape, functionsOf(shape).length]).toEqual([shape, 1]);
  const others = [
    "if (a) {\n}",
    "for (const a of b()) {\n}",
    "declare function f(): { a: number };",
    "type F = (a: number) => void;\nif (x) {\n}",
    "const a = b ? f(c) : { d: 1 };",
    "switch (f(a)) {\n}",
    "class A extends B {\n}",
    "const f = (a: number): number => a ? g({}) : h({});",
  ];
  for (const other of others) expect([other, functionsOf(other).length]).toEqual([other, 0]);
});

/** A well-kept file: a preface, then the code under test. */
const kept = (code: string): string => `/** Preface. */\n\n${code}\n`;
const lines = (count: number): string => "  x();\n".repeat(count);
const SWITCH = (subject: string, inner: string): string =>
  kept(
    `function f(e: E): void {\n  switch (${subject}) {\n    case 1: {${inner}}\n    default:\n  }\n}`,
  );

/** Rule, path, text, then the line of the breach; no line: the rule is content. */
const SEEDS: readonly [rule: string, path: string, text: string, line?: number][] = [
  ["imports", "src/lib/a.ts", kept(`import { x } from "../wire/x.ts";`), 3],
  ["imports", "src/lib/a.ts", kept(`import type { X } from "../wire/x.ts";`), 3],
  ["imports", "src/lib/a.ts", kept(`import { x } from "./x.ts";`)],
  ["imports", "src/lib/a.ts", kept(`import { y } from "./y.ts";\nimport fs from "node:fs";`), 4],
  ["imports", "src/wire/a.ts", kept(`import { x } from "../lib/x.ts";`)],
  ["imports", "src/wire/a.ts", kept(`import { x } from "../netlink/x.ts";`), 3],
  ["imports", "src/wire/a.ts", kept(`import { ptr } from "bun:ffi";`), 3],
  ["imports", "src/wire/a.ts", kept(`import type { Pointer } from "bun:ffi";`), 3],
  ["imports", "src/report/a.ts", kept(`import type { X } from "../vrrp/x.ts";`)],
  ["imports", "src/report/a.ts", kept(`import { x } from "../vrrp/x.ts";`), 3],
  ["imports", "src/netlink/a.ts", kept(`import { x } from "../../ffi/libc.ts";`), 3],
  ["imports", "src/config/a.ts", kept(`import { x } from "../lib/x.ts";`)],
  ["imports", "src/config/a.ts", kept(`import { x } from "../vrrp/x.ts";`), 3],
  ["imports", "src/vrrp/a.ts", kept(`import type { X } from "../wire/x.ts";`)],
  ["imports", "src/vrrp/a.ts", kept(`import { x } from "../wire/x.ts";`), 3],
  ["imports", "src/vrrp/a.ts", kept(`import { type X } from "../config/x.ts";`), 3],
  ["imports", "src/vrrp/a.ts", kept(`import { x } from "../netlink/x.ts";`)],
  ["imports", "src/vrrp/a.ts", kept(`import { x } from "./perform.ts";`), 3],
  ["imports", "src/vrrp/a.ts", kept(`const x = () => import("../loop.ts");`), 3],
  ["imports", "src/vrrp/perform.ts", kept(`import { x } from "../netlink/x.ts";`)],
  ["imports", "src/vrrp/perform.ts", kept(`import { x } from "../parent/channel.ts";`)],
  ["imports", "src/vrrp/perform.ts", kept(`import { x } from "../parent/script.ts";`), 3],
  ["imports", "src/vrrp/perform.ts", kept(`import { x } from "../config/x.ts";`), 3],
  ["imports", "src/vrrp/perform.ts", kept(`import { x } from "./role.ts";`), 3],
  ["imports", "src/vrrp/role.ts", kept(`import { x } from "../config/x.ts";`)],
  ["imports", "src/vrrp/role.ts", kept(`import { x } from "../loop.ts";`)],
  ["imports", "src/vrrp/role.ts", kept(`import { x } from "../lvs/x.ts";`), 3],
  ["imports", "src/vrrp/role.ts", kept(`import { x } from "commander";`), 3],
  ["imports", "src/lvs/check/tcp.ts", kept(`import { x } from "../quorum.ts";`)],
  ["imports", "src/lvs/check/tcp.ts", kept(`import { x } from "../../vrrp/x.ts";`), 3],
  ["imports", "src/lvs/a.ts", kept(`import { x } from "../netlink/x.ts";`)],
  ["imports", "src/lvs/a.ts", kept(`import { x } from "../wire/x.ts";`), 3],
  ["imports", "src/loop.ts", kept(`import { x } from "../ffi/epoll.ts";`)],
  ["imports", "src/loop.ts", kept(`import { x } from "./wire/x.ts";`), 3],
  ["imports", "ffi/socket.ts", kept(`import { x } from "../src/netlink/message.ts";`)],
  ["imports", "ffi/socket.ts", kept(`import { x } from "../src/netlink/link.ts";`), 3],
  ["imports", "ffi/socket.ts", kept(`import { x } from "node:os";`), 3],
  ["imports", "ffi/libc.ts", kept(`import { dlopen } from "bun:ffi";`)],
  ["imports", "src/parent/a.ts", kept(`import { x } from "../vrrp/diff.ts";`)],
  ["imports", "src/parent/a.ts", kept(`import { x } from "../vrrp/perform.ts";`), 3],
  ["imports", "src/parent/a.ts", kept(`import { x } from "../operate/mail.ts";`), 3],
  ["imports", "src/operate/a.ts", kept(`import { x } from "../parent/script.ts";`), 3],
  ["imports", "src/cli/a.ts", kept(`import { x } from "../../test/support/x.ts";`), 3],
  ["imports", "src/cli/a.ts", kept(`import { x } from "bun:ffi";`), 3],
  ["imports", "src/main.ts", kept(`import { x } from "./vrrp/role.ts";`)],
  ["imports", "src/vrrp/a_test.ts", kept(`import { x } from "../wire/x.ts";`)],
  ["imports", "src/stray.ts", kept("const x = 1;"), 1],
  ["tests stand alone", "src/vrrp/a_test.ts", kept(`import { x } from "./b_test.ts";`), 3],
  ["tests stand alone", "src/vrrp/a.ts", kept(`import { x } from "./a_test.ts";`), 3],
  ["tests stand alone", "src/vrrp/a_test.ts", kept(`import { x } from "./a.ts";`)],
  ["import endings", "src/lib/a.ts", kept(`import { x } from "./x";`), 3],
  ["import endings", "src/lib/a.ts", kept(`import { x } from "../lib/x.ts";`)],
  ["barrels", "src/lib/a.ts", kept(`export * from "./x.ts";\nexport type { Y } from "./y.ts";`), 1],
  ["barrels", "src/lib/a.ts", kept(`import { x } from "./x.ts";\nexport { x };`), 1],
  ["barrels", "src/lib/a.ts", kept(`export { x } from "./x.ts";\n/** Y. */\nexport const y = 1;`)],
  ["pure", "src/lib/a.ts", kept("const x = Date.now();"), 3],
  ["pure", "src/wire/a.ts", kept("const x = Math.random();"), 3],
  ["pure", "src/vrrp/a.ts", kept("setTimeout(f, 1);"), 3],
  ["pure", "src/vrrp/a.ts", kept("function f(): Promise<void> {}"), 3],
  ["pure", "src/vrrp/a.ts", kept("const f = async () => 1;"), 3],
  ["pure", "src/config/a.ts", kept("const x = process.env;"), 3],
  ["pure", "src/config/a.ts", kept("const x = `${Bun.version}`;"), 3],
  ["pure", "src/config/a.ts", kept("const x = a\n  ? process\n  : b;"), 4],
  ["pure", "src/report/a.ts", kept("console.log(1);"), 3],
  ["pure", "src/netlink/a.ts", kept("const x = performance.now();"), 3],
  ["pure", "src/config/a.ts", kept("const x = { process: 1, Date };\nx.process; // Date"), 3],
  ["pure", "src/config/a.ts", kept(`const x = { process: 1 };\nx.process; // Date\n"Bun"; /Bun/;`)],
  ["pure", "src/config/a.ts", kept("interface A {\n  a: 1;\n  readonly process?: string;\n}")],
  ["pure", "src/vrrp/perform.ts", kept("setTimeout(f, 1);")],
  ["pure", "src/vrrp/a_test.ts", kept("const x = Date.now();")],
  ["pointers", "src/vrrp/perform.ts", kept(`import { ptr } from "bun:ffi";`), 3],
  ["pointers", "test/netns/a_test.ts", kept(`import { ptr } from "bun:ffi";`), 3],
  ["pointers", "src/vrrp/perform.ts", kept(`import type { Pointer } from "bun:ffi";`)],
  ["pointers", "ffi/socket.ts", kept(`import { ptr } from "bun:ffi";`)],
  ["natives", "ffi/socket.ts", kept(`const x = (Bun as unknown as A).FFI;`), 3],
  ["natives", "ffi/native.ts", kept(`const x = (Bun as unknown as A).FFI;`)],
  ["console", "src/parent/a.ts", kept(`function f(): void {\n  console.error(1);\n}`), 4],
  ["console", "test/run.ts", kept(`console.log(1);`), 3],
  ["console", "src/cli/a.ts", kept(`console.log(1);`)],
  ["console", "src/parent/a.ts", kept(`config.console.log; "console.log";`)],
  ["exit", "src/cli/a.ts", kept("process.exit(1);"), 3],
  ["exit", "ffi/a.ts", kept("process\n  .abort();"), 3],
  ["exit", "src/main.ts", kept("process.exit(1);")],
  ["exit", "src/cli/a.ts", kept("process.exitCode = 1;")],
  ["size", "src/lib/a.ts", kept(lines(498)), 1],
  ["size", "src/lib/a.ts", kept(lines(497))],
  ["size", "src/lib/a.ts", kept(`function f(): { a: 1 } {\n${lines(68)}}`), 3],
  ["size", "src/lib/a.ts", kept(`function f(): { a: 1 } {\n${lines(67)}}`)],
  ["size", "src/lib/a.ts", kept(`class A {\n  m(): void {\n${lines(68)}  }\n}`), 4],
  ["size", "src/lib/a.ts", kept(`const f = (): A => {\n${lines(68)}};`), 3],
  ["size", "src/lib/a.ts", kept(`const f = [\n${lines(90)}];`)],
  ["size", "src/lib/a_test.ts", kept(lines(900))],
  ["docs", "src/lib/a.ts", "const a = 1;\n", 1],
  ["docs", "src/lib/a.ts", "// Not a preface.\nconst a = 1;\n", 1],
  ["docs", "src/lib/a.ts", "import a from './a.ts';\n/** Late. */\n", 1],
  ["docs", "src/lib/a.ts", "/** A preface is no doc comment. */\nexport const a = 1;\n", 2],
  ["docs", "src/lib/a.ts", kept("// Not a doc.\nexport function f(): void {}"), 4],
  ["docs", "src/lib/a.ts", kept("/** A. */\nexport type A = 1;\nexport interface B {}"), 5],
  ["docs", "src/lib/a.ts", kept("/** A. */\nconst a = 1;\nexport async function* f() {}"), 5],
  ["docs", "src/lib/a.ts", kept("/** A. */\n\nexport abstract class A {}\nexport { A as B };")],
  [
    "docs",
    "src/lib/a.ts",
    kept("/** F. */\nexport function f(a: 1): 1;\nexport function f(a: 2): 2;"),
  ],
  ["docs", "test/run.ts", "#!/usr/bin/env bun\n/** Preface. */\nconst a = 1;\n"],
  ["switches", "src/vrrp/a.ts", SWITCH("e.type", ""), 6],
  ["switches", "src/vrrp/a.ts", SWITCH("state.name", "switch (x) { default: }"), 6],
  ["switches", "src/vrrp/a.ts", SWITCH("code", "")],
  [
    "switches",
    "src/vrrp/a.ts",
    SWITCH("e.type", " switch (x) { default: } ").replace("    default:\n", ""),
  ],
  ["top-level await", "src/cli/a.ts", kept("const x = await f();"), 3],
  ["top-level await", "src/cli/a.ts", kept("const f = async (): Promise<1> => await g();")],
  ["top-level await", "src/cli/a.ts", kept("async function f(): Promise<1> {\n  await g();\n}")],
  ["names", "src/lib/a.ts", kept("function handleAdvert(): void {}"), 3],
  ["names", "src/lib/a.ts", kept("const advertManager = 1;"), 3],
  ["names", "src/lib/a.ts", kept("class TimerHelper {}"), 3],
  ["names", "src/lib/a.ts", kept("function processAdvert(): void {}"), 3],
  ["names", "src/lib/a.ts", kept("const tcm_handle = x.handle + panhandle + utilised;")],
  ["names", "src/lib/a.ts", kept("const processor = 1; // manager\nfunction processed(): void {}")],
  ["names", "src/lib/string_util.ts", kept(""), 1],
  ["names", "src/lib/stringThing.ts", kept(""), 1],
  ["names", "src/lib/string-thing.ts", kept(""), 1],
  ["names", "src/lib/sync_group_test.ts", kept("")],
  ["unfinished tests", "src/lib/a_test.ts", kept("test.skip(a, b);"), 3],
  ["unfinished tests", "src/lib/a_test.ts", kept("describe.each(x);\ntest.only(a, b);"), 4],
  ["unfinished tests", "test/sim/a_test.ts", kept("test\n  .todo(a);"), 3],
  ["unfinished tests", "src/lib/a_test.ts", kept("test.skipIf(!root)(a, b);\nreader.skip(2);")],
  ["comments", "src/lib/a.ts", kept("// TODO: more"), 3],
  ["comments", "src/lib/a.ts", kept("/*\n * See issue 12.\n */"), 4],
  ["comments", "src/lib/a.ts", kept("// Fixes #12."), 3],
  ["comments", "src/lib/a.ts", kept("// Left over from the last session."), 3],
  ["comments", "src/lib/a.ts", kept("// The agent asked for it."), 3],
  ["comments", "src/lib/a.ts", kept("// As house.md says."), 3],
  ["comments", "src/vrrp/bfd.ts", kept("// The session goes Down.")],
  ["comments", "src/operate/snmp.ts", kept("// The agent answers on its own socket.")],
  ["comments", "src/lib/a.ts", kept(`const todo = "TODO"; // RFC 9568 §6.4, 2 of #private`)],
];

for (const [name, path, text, line] of SEEDS) {
  const verdict = line === undefined ? "is content with" : `bites at line ${line} of`;
  test(`${name} ${verdict} ${path}: ${text.slice(17, 70).replace(/\s+/g, " ")}`, () => {
    const rule = RULES.find((candidate) => candidate.name === name);
    if (rule === undefined) throw new Error(`no rule is called ${name}`);
    const found = breachesOf(rule, treeOf({ [path]: text })).map((b) => b.split(": ", 1)[0]);
    expect(found).toEqual(line === undefined ? [] : [`${path}:${line}`]);
  });
}

test("cycles bites once per ring, through values and types", () => {
  const rule = RULES.find((candidate) => candidate.name === "cycles");
  if (rule === undefined) throw new Error("no rule is called cycles");
  const ring = treeOf({
    "src/lib/a.ts": kept(`import { d } from "./d.ts";\nimport type { B } from "./b.ts";`),
    "src/lib/b.ts": kept(`import { c } from "./c.ts";`),
    "src/lib/c.ts": kept(`import { a } from "./a.ts";\nimport { d } from "./d.ts";`),
    "src/lib/d.ts": kept(""),
  });
  const say = "src/lib/a.ts → src/lib/b.ts → src/lib/c.ts → src/lib/a.ts";
  expect(breachesOf(rule, ring)).toEqual([
    `src/lib/a.ts:4: cycles: ${say}; move what both need to a third`,
  ]);
  const line = treeOf({ "src/lib/a.ts": kept(`import { d } from "./d.ts";`), "src/lib/d.ts": "" });
  expect(breachesOf(rule, line)).toEqual([]);
  const self = treeOf({ "src/lib/a.ts": kept(`import { a } from "./a.ts";`) });
  expect(breachesOf(rule, self).length).toBe(1);
});

test("every rule has a seed that makes it bite", () => {
  const bitten = new Set(SEEDS.filter(([, , , line]) => line !== undefined).map(([name]) => name));
  const unproven = RULES.map(({ name }) => name).filter((name) => !bitten.has(name));
  expect(unproven).toEqual(["cycles"]);
});
