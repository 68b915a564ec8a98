/** MISC_CHECK: a program's end as a verdict. */

import type { MiscCheck } from "../../config/lvs.ts";
import { bad, GOOD, type Verdict } from "./talk.ts";

/** How a program ended. */
export type ProgramEnd =
  | { readonly how: "exit"; readonly status: number }
  | { readonly how: "signal"; readonly signal: number }
  /** It was told to end after misc_timeout. */
  | { readonly how: "timeout" }
  /** It could not be started, or may not. */
  | { readonly how: "refused"; readonly why: string };

/**
 * The verdict on a program's end; `serverWeight` is the weight its real server is configured with. With
 * misc_dynamic the statuses 2 to 255 are weights plus 2, and 0 is the configured weight.
 */
export function judgeProgram(
  { misc_dynamic }: Pick<MiscCheck, "misc_dynamic">,
  end: ProgramEnd,
  serverWeight: number,
): Verdict {
  switch (end.how) {
    case "exit":
      if (end.status === 0) return misc_dynamic ? { isGood: true, weight: 0 } : GOOD;
      if (misc_dynamic && end.status > 1) {
        return { isGood: true, weight: end.status - 2 - serverWeight };
      }
      return bad("refused", `exited with status ${end.status}`);
    case "signal":
      return bad("refused", `due to signal ${end.signal}`);
    case "timeout":
      return bad("silence", "timed out");
    case "refused":
      return bad("connect", end.why);
  }
}
