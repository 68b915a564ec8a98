/** What lints and pair checks have to say, and how it becomes a problem. */
import type { Place, Problems, Severity } from "./problem.ts";

/** Something legal but unwise. */
export interface Finding {
  readonly place: Place | undefined;
  /** The keyword it is about, where the place is a block; of several the first one that is there. */
  readonly near?: string | readonly string[];
  /** What scripts may rely on. */
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  /** `lint` unless told otherwise. */
  readonly severity?: Severity;
}

/** Takes a finding. */
export type Find = (finding: Finding) => void;

/** Adds findings to the problems. */
export function finder(problems: Problems): Find {
  return ({ place, near, code, message, hint, severity = "lint" }) => {
    const extras = near === undefined ? {} : { near };
    problems.addAt(place, "note", message, { severity, code, hint, ...extras });
  };
}

/** Permission bits as `chmod` takes them. */
export function modeText(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
