/** The keywords of authentication and auth_hmac: what adverts are signed with. */
import { integer, oneOf } from "./readers.ts";
import { block, complain, firstWord, type LineRow, readInteger } from "./schema.ts";
import { authPass } from "./vrrp_rows.ts";
import { quote } from "./words.ts";

/** The keywords of authentication. */
export const authentication = block(() => ({
  auth_type: oneOf(
    "PASS|AH - scheme of VRRPv2 authentication; default none",
    ["PASS", "AH"],
    (text, who) => `(${who}) unknown authentication type '${text}'`,
  ),
  auth_pass: authPass(),
}));

/** A key as written. */
export interface WrittenKey {
  /** 1 to 255. */
  readonly id: number;
  /** A text, hex:DIGITS or file:PATH. */
  readonly value: string;
}

/** The keywords of auth_hmac. */
export const authHmac = block(() => ({
  key: keys(),
  active_key: integer("ID - key to sign with; range 1..255; must be set to send", undefined, {
    min: 1,
    max: 255,
    says: (text, who) =>
      `(${who}) auth_hmac active_key '${text}' not valid - must be between 1 & 255`,
  }),
  time_window: integer(
    "SECS - how old an advert may be; range 1..300; default 3 advert_int, at least 5",
    undefined,
    {
      min: 1,
      max: 300,
      times: 1_000_000,
      says: (text, who) =>
        `(${who}) auth_hmac time_window '${text}' not valid - must be between 1 & 300`,
    },
  ),
  anti_replay: oneOf(
    "time|monotonic - what tells a repeated advert; default time",
    ["time", "monotonic"],
    (text, who) => `(${who}) unknown auth_hmac anti_replay '${text}'`,
  ),
  mode: oneOf(
    "enforce|permissive|receive-only - what becomes of adverts without a signature, and whether ours " +
      "have one; default enforce",
    ["enforce", "permissive", "receive-only"],
    (text, who) => `(${who}) unknown auth_hmac mode '${text}'`,
  ),
}));

/** Each line adds a key; what it is never shows up in a message. */
function keys(): LineRow<readonly WrittenKey[]> {
  return {
    doc: "ID VALUE - adds a key: a text, hex:DIGITS or file:PATH (readable by its owner only); " +
      "range ID 1..255, 32..64 bytes",
    shape: "line",
    initial: [],
    secret: true,
    secretFrom: 2,
    read: (node, context, before) => {
      if (firstWord(node, context) === undefined) return undefined;
      const say = (message: string, at: number, hint?: string): undefined => {
        const extras = { word: node.words[1]!, ...(hint === undefined ? {} : { hint }) };
        complain(context, node, "general", `(${context.who}) auth_hmac ${message}`, at, extras);
      };
      const id = readInteger(node, 1, context, { min: 1, max: 255 });
      if (id === undefined) return say(`key id '${node.words[1]}' not valid`, 1);
      const value = node.words[2];
      if (value === undefined) return say(`key ${id} has no value`, 1, "key ID VALUE");
      if (before.some((key) => key.id === id)) {
        return say(`key ${id} already defined - ignoring`, 1);
      }
      return [...before, { id, value }];
    },
    format: (all) => all.map(({ id, value }) => `${id} ${quote(value)}`),
  };
}
