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
  readonly #lengths = new Set<number>();
  /** The lines that hold one, by file. */
  readonly #lines = new Map<string, Set<number>>();

  /** Remembers a secret; blanks and quotes around it do not belong to it. */
  keep(text: string): void {
    const bare = text.trim().replace(/^["']+|["']+$/g, "").slice(0, LONGEST);
    if (bare === "") return;
    this.#texts.add(bare);
    this.#lengths.add(bare.length);
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
    // The longest one that starts somewhere wins.
    const lengths = [...this.#lengths].filter((length) => length <= text.length)
      .sort((a, b) => b - a);
    let shown = "";
    let at = 0;
    while (at < text.length) {
      const start = at;
      const length = lengths.find((one) => this.#isSecret(text, start, one));
      if (length === undefined) shown += text[at++];
      else {
        shown += MASK;
        at += length;
        while (length === LONGEST && at < text.length && !/\s/.test(text[at]!)) at++;
      }
    }
    return shown;
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
