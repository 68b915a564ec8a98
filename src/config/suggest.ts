/** What somebody may have meant who wrote a word that nothing knows. */
import type { AnyBlock } from "./schema.ts";

/** A hint for a keyword that `block` does not know: one that is nearly the same, or where it belongs. */
export function suggest(keyword: string, block: AnyBlock, root: AnyBlock): string | undefined {
  const words = Object.keys(block.rows());
  const near = nearest(keyword, words) ?? longer(keyword, words);
  if (near !== undefined) return `did you mean ${near}?`;
  const homes = homesOf(keyword, root, "", []);
  return homes.length === 0 ? undefined : `it belongs in ${homes.join(" or ")}`;
}

/** The only word that a shortened one is a part of; undefined when there are none, or several. */
function longer(part: string, words: readonly string[]): string | undefined {
  const found = part.length < SHORTEST_PART ? [] : words.filter((word) => word.includes(part));
  return found.length === 1 ? found[0] : undefined;
}

const SHORTEST_PART = 5;

/** The names of the blocks that know a keyword. */
function homesOf(keyword: string, block: AnyBlock, name: string, found: string[]): string[] {
  for (const [word, row] of Object.entries(block.rows())) {
    if (word === keyword) found.push(name === "" ? "the outermost level" : name);
    if (row.shape === "block") homesOf(keyword, row.inside, word, found);
  }
  return [...new Set(found)];
}

/** Whether a keyword is one whose value is secret, of any block, or nearly so. */
export function isLikeSecret(keyword: string, root: AnyBlock): boolean {
  secretKeywords ??= [...secretsOf(root)];
  return nearest(keyword, secretKeywords) !== undefined;
}

let secretKeywords: readonly string[] | undefined;

function* secretsOf(block: AnyBlock): Iterable<string> {
  for (const [word, row] of Object.entries(block.rows())) {
    if (row.secret === true) yield word;
    if (row.shape === "block") yield* secretsOf(row.inside);
  }
}

/** The one of several words that a typing mistake may have made of it; undefined when none is near. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  const most = word.length < 4 ? 1 : word.length < 9 ? 2 : 3;
  let best: string | undefined;
  let least = most + 1;
  for (const other of words) {
    if (Math.abs(other.length - word.length) >= least) continue;
    const distance = distanceOf(word, other);
    if (distance < least) {
      least = distance;
      best = other;
    }
  }
  return best;
}

/** How many characters must be added, taken away, changed or swapped with a neighbour (Damerau). */
function distanceOf(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let cost = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (isSame ? 0 : 1));
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) cost = Math.min(cost, before[j - 2]! + 1);
      next.push(cost);
    }
    before = row;
    row = next;
  }
  return row[b.length]!;
}
