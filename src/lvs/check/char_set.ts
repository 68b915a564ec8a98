/** Sets of characters of a pattern: the first 256 by table, those beyond by a question. */

/** A set of characters, by their codes. */
export interface CharSet {
  /** 1 for each of the codes 0 to 255 that is in the set. */
  readonly low: Uint8Array;
  /** Whether a code above 255 is in the set. */
  readonly high: (code: number) => boolean;
}

const NEVER = (): boolean => false;

/** Whether a set has a character. */
export function hasChar(set: CharSet, code: number): boolean {
  return code < 256 ? set.low[code] === 1 : set.high(code);
}

/** The characters for which `isIn` holds. */
export function charSet(
  isIn: (code: number) => boolean,
  high: (code: number) => boolean = NEVER,
): CharSet {
  const low = new Uint8Array(256);
  for (let code = 0; code < 256; code++) if (isIn(code)) low[code] = 1;
  return { low, high };
}

/** All characters from one to another, both included. */
export function charRange(first: number, last: number): CharSet {
  const isIn = (code: number): boolean => code >= first && code <= last;
  return charSet(isIn, last > 255 ? isIn : NEVER);
}

/** What is in any of the sets. */
export function unionOf(sets: readonly CharSet[]): CharSet {
  const highs = sets.map(({ high }) => high).filter((high) => high !== NEVER);
  return charSet(
    (code) => sets.some(({ low }) => low[code] === 1),
    highs.length === 0 ? NEVER : (code) => highs.some((high) => high(code)),
  );
}

/** What is not in the set. */
export function complementOf({ low, high }: CharSet): CharSet {
  return charSet((code) => low[code] === 0, (code) => !high(code));
}

/** The set and its letters in the other case. */
export function foldCase(set: CharSet, isUnicode: boolean): CharSet {
  const others = (code: number): number[] => code < 128 || isUnicode ? bothCases(code) : [code];
  const isIn = (code: number): boolean => others(code).some((one) => hasChar(set, one));
  return charSet(isIn, isUnicode ? isIn : set.high);
}

function bothCases(code: number): number[] {
  const text = String.fromCodePoint(code);
  return [
    code,
    ...[text.toLowerCase(), text.toUpperCase()].flatMap((other) => {
      const folded = other.codePointAt(0)!;
      // Letters whose other case is a text of several are left alone.
      return folded === code || other.length !== String.fromCodePoint(folded).length
        ? []
        : [folded];
    }),
  ];
}

const between = (code: number, first: string, last: string): boolean =>
  code >= first.charCodeAt(0) && code <= last.charCodeAt(0);
const isDigit = (code: number): boolean => between(code, "0", "9");
const isUpper = (code: number): boolean => between(code, "A", "Z");
const isLower = (code: number): boolean => between(code, "a", "z");
const isAlpha = (code: number): boolean => isUpper(code) || isLower(code);
const isSpace = (code: number): boolean => code === 32 || (code >= 9 && code <= 13);
const isGraph = (code: number): boolean => code > 32 && code < 127;

/** The classes of POSIX, `[:alpha:]` and its like, in the C locale, by name. */
export const POSIX_CLASSES: Readonly<Record<string, CharSet>> = {
  alnum: charSet((code) => isAlpha(code) || isDigit(code)),
  alpha: charSet(isAlpha),
  ascii: charSet((code) => code < 128),
  blank: charSet((code) => code === 32 || code === 9),
  cntrl: charSet((code) => code < 32 || code === 127),
  digit: charSet(isDigit),
  graph: charSet(isGraph),
  lower: charSet(isLower),
  print: charSet((code) => isGraph(code) || code === 32),
  punct: charSet((code) => isGraph(code) && !isAlpha(code) && !isDigit(code)),
  space: charSet(isSpace),
  upper: charSet(isUpper),
  word: charSet((code) => isAlpha(code) || isDigit(code) || code === 0x5f),
  xdigit: charSet((code) => isDigit(code) || between(code, "a", "f") || between(code, "A", "F")),
};

/** The sets that a letter after a backslash stands for; with ucp those of Unicode. */
export function escapedSet(letter: string, isUnicode: boolean): CharSet | undefined {
  const lower = letter.toLowerCase();
  const set = isUnicode && UNICODE[lower] !== undefined
    ? propertySet(UNICODE[lower])
    : PLAIN[lower];
  if (set === undefined) return undefined;
  return lower === letter ? set : complementOf(set);
}

const PLAIN: Readonly<Record<string, CharSet>> = {
  d: POSIX_CLASSES["digit"]!,
  w: POSIX_CLASSES["word"]!,
  s: POSIX_CLASSES["space"]!,
  h: charSet((code) => code === 32 || code === 9 || code === 0xa0),
  v: charSet((code) => (code >= 10 && code <= 13) || code === 0x85),
};
const UNICODE: Readonly<Record<string, string>> = {
  d: "\\p{Nd}",
  w: "[\\p{L}\\p{N}_]",
  s: "[\\p{Z}\\t-\\r\\x85]",
};

/** The set of a class of Unicode, as the inside of an expression of ECMAScript. Throws for one there is none of. */
export function propertySet(source: string): CharSet {
  const pattern = new RegExp(`^${source}$`, "u");
  const isIn = (code: number): boolean => pattern.test(String.fromCodePoint(code));
  return charSet(isIn, isIn);
}
