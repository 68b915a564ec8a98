/**
 * What must not be shown. Readers hand over the values of secret keywords, and also the pieces they
 * were put together from; before problems leave, every text is searched for them. That catches a
 * secret wherever it turns up: in a definition, on a line of its own, after a misspelt keyword.
 */

/** What stands in place of a secret. */
export const MASK = "****";

/** Of a longer secret its start is searched for, and what follows it up to a blank is hidden too. */
const LONGEST = 64;
/** A shorter secret is hidden where it is a word of its own: it may be part of anything. */
const LONG_ENOUGH = 4;

/** Whether a line may hold a secret, to judge by its words alone. */
export function maySpill(text: string): boolean {
  return /pass|key|secret/i.test(text);
}

/** The secrets of one configuration. */
export class Secrets {
  readonly #texts = new Set<string>();
  /** Their lengths, the longest first. */
  #lengths: number[] = [];
  /** The characters they start with: most of a text need not be looked at twice. */
  readonly #starts = new Set<number>();
  /** The lines that hold one, by file. */
  readonly #lines = new Map<string, Set<number>>();

  /** Remembers a secret; blanks and quotes around it do not belong to it. */
  keep(text: string): void {
    const bare = text.trim().replace(/^["']+|["']+$/g, "").slice(0, LONGEST);
    if (bare === "") return;
    this.#texts.add(bare);
    this.#starts.add(bare.charCodeAt(0));
    if (this.#lengths.includes(bare.length)) return;
    this.#lengths.push(bare.length);
    this.#lengths.sort((a, b) => b - a);
  }

  /** Remembers a line that must not be shown. */
  keepLine(file: string, line: number): void {
    const lines = this.#lines.get(file);
    if (lines === undefined) this.#lines.set(file, new Set([line]));
    else lines.add(line);
  }

  /** The line of a file that was the first to show a secret; undefined when it has none. */
  firstLine(file: string): number | undefined {
    return this.#lines.get(file)?.values().next().value;
  }

  /** Whether a line as it stands in a file must not be shown. */
  spills(source: string, file: string, line: number): boolean {
    return maySpill(source) || this.#lines.get(file)?.has(line) === true ||
      this.hide(source) !== source;
  }

  /** A text without secrets. */
  hide(text: string): string {
    if (this.#texts.size === 0) return text;
    let shown = "";
    let from = 0;
    for (let at = 0; at < text.length;) {
      const length = this.#starts.has(text.charCodeAt(at)) ? this.#secretAt(text, at) : 0;
      if (length === 0) {
        at++;
        continue;
      }
      shown += text.slice(from, at) + MASK;
      at += length;
      while (length === LONGEST && at < text.length && !/\s/.test(text[at]!)) at++;
      from = at;
    }
    return from === 0 ? text : shown + text.slice(from);
  }

  /** The length of the longest secret that starts at an offset; 0 when none does. */
  #secretAt(text: string, at: number): number {
    for (const length of this.#lengths) {
      if (at + length <= text.length && this.#isSecret(text, at, length)) return length;
    }
    return 0;
  }

  #isSecret(text: string, at: number, length: number): boolean {
    if (!this.#texts.has(text.slice(at, at + length))) return false;
    return length >= LONG_ENOUGH || !(isPart(text[at - 1]) || isPart(text[at + length]));
  }
}

/** Whether a character would make a longer word of its neighbour. */
function isPart(character: string | undefined): boolean {
  return character !== undefined && /[\w]/.test(character);
}
