/**
 * Path patterns: `{a,b}` alternatives and the wildcards `*`, `?` and `[...]`, as glob(7) describes
 * them. Directories come from a listing function, so nothing here touches the system.
 */

/** At most so many alternatives come out of the braces of one pattern. */
const MOST_ALTERNATIVES = 1024;

/** Whether a pattern holds a wildcard (braces are none). */
export function hasWildcard(pattern: string): boolean {
  return /[*?[]/.test(pattern);
}

/** The alternatives of a pattern, left to right; the pattern itself when it holds none. */
export function expandBraces(pattern: string): readonly string[] {
  const done: string[] = [];
  const open = [pattern];
  while (open.length > 0 && done.length + open.length <= MOST_ALTERNATIVES) {
    const next = open.pop()!;
    const group = firstGroup(next);
    if (group === undefined) done.push(next);
    else {
      const { start, end, choices } = group;
      const whole = choices.map((choice) => next.slice(0, start) + choice + next.slice(end + 1));
      open.push(...whole.reverse());
    }
  }
  return done;
}

function firstGroup(text: string): { start: number; end: number; choices: string[] } | undefined {
  const start = text.indexOf("{");
  if (start < 0) return undefined;
  const choices: string[] = [];
  let depth = 0;
  let from = start + 1;
  for (let i = start; i < text.length; i++) {
    const c = text[i];
    if (c === "{") depth++;
    else if (c === "," && depth === 1) {
      choices.push(text.slice(from, i));
      from = i + 1;
    } else if (c === "}" && --depth === 0) {
      choices.push(text.slice(from, i));
      return { start, end: i, choices };
    }
  }
  return undefined;
}

/**
 * The paths that match a pattern without braces, sorted. `list` names a directory's entries and
 * `exists` tells whether a path is there; `base` is the absolute directory relative patterns start
 * from. A relative pattern gives relative paths.
 */
export function matchPaths(
  pattern: string,
  base: string,
  list: (directory: string) => readonly string[] | undefined,
  exists: (path: string) => boolean,
): readonly string[] {
  if (!hasWildcard(pattern)) return exists(resolvePath(base, pattern)) ? [pattern] : [];
  let found = [pattern.startsWith("/") ? "/" : ""];
  for (const part of pattern.split("/").filter((name) => name !== "")) {
    found = hasWildcard(part)
      ? found.flatMap((folder) => {
        const names = list(resolvePath(base, folder)) ?? [];
        return names.filter((name) => matchesName(part, name)).map((name) => folder + name + "/");
      })
      : found.map((folder) => `${folder}${part}/`).filter((path) =>
        exists(resolvePath(base, path))
      );
  }
  return found.map((path) => path.slice(0, -1)).sort();
}

/** Whether a name matches one component of a pattern; a leading dot must be matched by a dot. */
export function matchesName(pattern: string, name: string): boolean {
  if (name.startsWith(".") && !pattern.startsWith(".")) return false;
  // Two fingers and one point to return to: linear in practice, never exponential.
  let p = 0;
  let n = 0;
  let star = -1;
  let resume = 0;
  while (n < name.length) {
    const after = p < pattern.length && pattern[p] !== "*" ? matchOne(pattern, p, name[n]!) : -1;
    if (pattern[p] === "*") {
      star = p++;
      resume = n;
    } else if (after >= 0) {
      p = after;
      n++;
    } else if (star >= 0) {
      p = star + 1;
      n = ++resume;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

/** Matches one character; the offset after the pattern's part, or -1. */
function matchOne(pattern: string, p: number, c: string): number {
  if (pattern[p] === "?") return p + 1;
  const end = pattern[p] === "[" ? pattern.indexOf("]", p + 2) : -1;
  if (end < 0) return pattern[p] === c ? p + 1 : -1;
  let set = pattern.slice(p + 1, end);
  const negated = set.startsWith("!") || set.startsWith("^");
  if (negated) set = set.slice(1);
  let inside = false;
  for (let i = 0; i < set.length; i++) {
    if (set[i + 1] === "-" && i + 2 < set.length) {
      inside ||= c >= set[i]! && c <= set[i + 2]!;
      i += 2;
    } else inside ||= c === set[i];
  }
  return inside === negated ? -1 : end + 1;
}

/** An absolute path from a directory and a name, `.` and `..` and double slashes removed. */
export function resolvePath(base: string, name: string): string {
  const parts: string[] = [];
  for (const part of (name.startsWith("/") ? name : `${base}/${name}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** The directory of an absolute path. */
export function directoryOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}
