/** What every role says to the parent, whatever it is for. */

import type { LogLevel } from "../lib/log.ts";

/** From any role to the parent. */
export type FromAnyRole =
  | { readonly type: "log"; readonly level: LogLevel; readonly text: string }
  /** Log lines were dropped because nobody read them. */
  | { readonly type: "dropped"; readonly lines: number }
  /** A change was performed; what it asks for is running. */
  | { readonly type: "configured" }
  /** The role's own mistake, just before it ends. */
  | { readonly type: "crash"; readonly stack: string };
