/** What the parent and the operate role say to each other; how it travels is in channel.ts. */

import type { FromAnyRole } from "./common_channel.ts";

/** How mails are sent. */
export interface MailSettings {
  readonly host: string;
  readonly port: number;
  /** The name in the greeting. */
  readonly helo: string;
  /** With or without a display name. */
  readonly from: string;
  readonly to: readonly string[];
  /** Limit for each step. */
  readonly timeoutUs: number;
}

/** Something that somebody elsewhere is to know; plain JSON. */
export type Alert =
  | {
    readonly type: "mail";
    readonly subject: string;
    readonly body: string;
    /** When it happened: milliseconds since 1970. */
    readonly at: number;
  }
  | {
    readonly type: "post";
    readonly url: string;
    readonly event: Readonly<Record<string, unknown>>;
  };

/** From the parent to the operate role. */
export type ToOperate =
  | { readonly type: "configure"; readonly mail?: MailSettings }
  /** To be delivered; the answer has the same number. */
  | { readonly type: "alert"; readonly id: number; readonly alert: Alert }
  /** Leave, when what waits was tried once more, or that takes too long. */
  | { readonly type: "shutdown" };

/** From the operate role to the parent. */
export type FromOperate =
  | FromAnyRole
  /** An alert was delivered, or given up. */
  | { readonly type: "done"; readonly id: number };
