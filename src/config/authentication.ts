/** What signs the adverts of an instance, once its whole block is known. */
import type { Files } from "./files.ts";
import type { Say } from "./problem.ts";
import type { AuthHmac, VrrpInstance } from "./vrrp.ts";
import type { WrittenInstance } from "./vrrp_keywords.ts";
import type { WrittenKey } from "./auth_keywords.ts";

/** The block `authentication`: version 2 only, and with a password only. */
export function completeAuthentication(
  { authentication }: WrittenInstance,
  version: 2 | 3,
  say: Say,
): VrrpInstance["authentication"] {
  const { auth_type, auth_pass } = authentication ?? {};
  if (auth_type === undefined) return undefined;
  if (version === 3) {
    say("VRRP version 3 does not support authentication. Ignoring.");
    return undefined;
  }
  if (auth_pass === undefined || auth_pass === "") {
    say("Authentication specified but no password given. Ignoring");
    return undefined;
  }
  return { auth_type, auth_pass };
}

const SHORTEST_KEY = 32;
const LONGEST_KEY = 64;
const SHORTEST_WINDOW_US = 5_000_000;

/** The block `auth_hmac`; without an active key that is defined it means nothing. */
export function completeHmac(
  { auth_hmac, authentication }: WrittenInstance,
  advert_int: number,
  files: Files,
  say: Say,
): AuthHmac | undefined {
  if (auth_hmac === undefined) return undefined;
  if (authentication !== undefined) {
    say("auth_hmac replaces authentication. Ignoring authentication");
  }
  const keys = auth_hmac.key.flatMap((written) => {
    const bytes = keyBytes(written, files, say);
    return bytes === undefined ? [] : [{ id: written.id, key: toHex(bytes) }];
  });
  const { active_key } = auth_hmac;
  if (active_key === undefined || !keys.some((key) => key.id === active_key)) {
    say("auth_hmac has no active key. Ignoring auth_hmac");
    return undefined;
  }
  return {
    keys,
    active_key,
    time_window: auth_hmac.time_window ?? Math.max(3 * advert_int, SHORTEST_WINDOW_US),
    anti_replay: auth_hmac.anti_replay ?? "time",
    mode: auth_hmac.mode ?? "enforce",
  };
}

function keyBytes({ id, value }: WrittenKey, files: Files, say: Say): Uint8Array | undefined {
  const bytes = value.startsWith("hex:")
    ? fromHex(value.slice(4))
    : value.startsWith("file:")
    ? keyOfFile(id, value.slice(5), files, say)
    : new TextEncoder().encode(value);
  if (bytes === "said") return undefined;
  if (bytes === undefined) say(`auth_hmac key ${id} is not made of pairs of hexadecimal digits`);
  else if (bytes.length < SHORTEST_KEY || bytes.length > LONGEST_KEY) {
    say(
      `auth_hmac key ${id} has ${bytes.length} bytes; ${SHORTEST_KEY} to ${LONGEST_KEY} are needed`,
    );
    return undefined;
  }
  return bytes;
}

/** What a file says, its final line end left out; the file must be closed to others. */
function keyOfFile(
  id: number,
  path: string,
  files: Files,
  say: Say,
): Uint8Array | "said" {
  const content = files.read(path, "bytes");
  if (typeof content !== "string" && !(content instanceof Uint8Array)) {
    say(`auth_hmac key ${id}: cannot read ${path} (${content.error})`);
    return "said";
  }
  if (files.stat(path)?.isOpenToOthers === true) {
    say(`auth_hmac key ${id}: ${path} can be read by others; chmod 0600 ${path}`);
    return "said";
  }
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 10 || bytes[end - 1] === 13)) end--;
  return bytes.slice(0, end);
}

function fromHex(text: string): Uint8Array | undefined {
  if (!/^([0-9a-fA-F]{2})*$/.test(text)) return undefined;
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
