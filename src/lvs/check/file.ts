/** FILE_CHECK: a file's number, which is an addition to the weight or, with weight 0, a verdict. */

import type { FileCheck } from "../../config/lvs.ts";
import type { TrackFile } from "../../config/track.ts";
import { bad, GOOD, type Verdict } from "./talk.ts";

/** What the number counts for. */
export interface FileFactor {
  /** 0 makes a number other than 0 a failure. */
  readonly weight: number;
  readonly reverse: boolean;
}

/** The factor of a check: its own, or that of the track_file. */
export function factorOf(
  { weight, reverse }: FileCheck,
  file: Pick<TrackFile, "weight" | "reverse">,
): FileFactor {
  return weight === undefined ? file : { weight, reverse };
}

/** The verdict on the number a file holds. */
export function judgeFile({ weight, reverse }: FileFactor, value: number): Verdict {
  if (weight !== 0) {
    // Adding 0 keeps a negative zero out of sight.
    return { isGood: true, weight: value * weight * (reverse ? -1 : 1) + 0 };
  }
  if ((value !== 0) === reverse) return GOOD;
  return bad("refused", reverse ? "the file holds 0" : `the file holds ${value}, not 0`);
}
