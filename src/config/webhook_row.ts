/** `notify_webhook`: where events are posted to. keepalived has no such thing. */
import { append, hasKey } from "./readers.ts";
import { complain, firstWord, type LineRow } from "./schema.ts";
import { quote } from "./words.ts";

const NONE: readonly string[] = [];

/** `notify_webhook URL`, which may come several times; `what` says which events. */
export function webhookLine(what: string): LineRow<readonly string[]> {
  return {
    doc: `URL - ${what} are posted there as JSON; may come several times; default none`,
    shape: "line",
    initial: NONE,
    ours: true,
    read: (node, context, before = NONE) => {
      const url = firstWord(node, context);
      if (url === undefined) return undefined;
      if (hasKey(before, (one) => one, url)) return undefined;
      if (/^https?:\/\/[^/?#\s]+/i.test(url)) return append(before, url);
      const who = context.who === "" ? "" : `(${context.who}) `;
      complain(context, node, "general", `${who}notify_webhook ${url} is no URL - ignoring`, 1, {
        hint: "http://HOST[:PORT][/PATH] or https://…",
      });
      return undefined;
    },
    format: (urls = NONE) => urls.map(quote),
  };
}
