/** Rows that one kind of check alone has: requests, replies, names and numbers of other formats. */
import type { StatusRange } from "./lvs.ts";
import { names, ours } from "./check_rows.ts";
import { append, formatScript, readScript, text, word } from "./readers.ts";
import { complain, type Context, firstWord, type LineRow, readInteger } from "./schema.ts";
import type { Statement } from "./statement.ts";
import type { Script } from "./vrrp.ts";
import { quote, quoteShell, shellWords } from "./words.ts";

/**
 * Says that a line is dropped or useless, as an error that a configuration test does not count: keepalived
 * logs these without a class.
 */
export function note(node: Statement, context: Context, message: string, at = 0): undefined {
  complain(context, node, "note", message, at, { severity: "error" });
}

/** `1.0`, `1.0C` or `1.1`. */
export function httpProtocol(): LineRow<"1.0" | "1.0C" | "1.1"> {
  return {
    doc: "1.0|1.0C|1.1 - version of the request; 1.0C adds Connection: close, 1.1 always has it; " +
      "default 1.0",
    shape: "line",
    initial: "1.0",
    read: (node, context) => {
      const version = firstWord(node, context, "Missing http_protocol version");
      switch (version) {
        case undefined:
          return undefined;
        case "1.0":
        case "1.1":
          return version;
        case "1.0C":
        case "1.0c":
          return "1.0C";
      }
      const message = `Invalid http_protocol version ${version}`;
      complain(context, node, "general", message, 1, { hint: "1.0, 1.0C or 1.1" });
      return undefined;
    },
    format: (value) => [value],
  };
}

/** `[NAME]`: "" stands for no name. */
export function sniName(): LineRow<string | undefined> {
  return {
    doc: "[NAME] - name to ask for in TLS, implies enable_sni; default virtualhost",
    shape: "line",
    initial: undefined,
    read: (node) => node.words[1] ?? "",
    format: (value) => value === undefined ? [] : [value === "" ? "" : quote(value)],
  };
}

/** An MD5, 32 hexadecimal digits, once. */
export function md5(): LineRow<string | undefined> {
  return word<string, undefined>(
    "MD5HEX - expected MD5 of the body; range 32 hexadecimal digits; default none",
    undefined,
    (digits, node, context, before) => {
      const refuse = (message: string): undefined => {
        complain(context, node, "general", message, 1, { hint: "32 hexadecimal digits, once" });
      };
      if (before !== undefined) return refuse(`Digest '${digits}' is a duplicate`);
      if (digits.length !== 32) {
        return refuse(
          `digest '${digits}' character length should be 32 rather than ${digits.length}`,
        );
      }
      const bad = digits.search(/[^0-9a-fA-F]/);
      if (bad < 0) return digits.toLowerCase();
      const pair = bad - bad % 2;
      return refuse(
        `Unable to interpret hex digit in '${digits}' at offset ${pair}/${pair + 1}`,
      );
    },
  );
}

/** Status codes and ranges of them; more lines add to the first. */
export function statusCodes(): LineRow<readonly StatusRange[]> {
  return {
    doc: "N|N-M ... - status codes that are good; range 100..599; default 200-299",
    shape: "line",
    initial: [],
    read: (node, context, before) => {
      const all: StatusRange[] = [];
      for (let at = 1; at < node.words.length; at++) {
        const word = node.words[at]!;
        const [, first, last] = /^([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?$/.exec(word) ?? [];
        const from = Number(first);
        const to = Number(last ?? first);
        if (from <= to) all.push({ from, to });
        else {
          const message = `Invalid HTTP_GET status code '${word}'`;
          complain(context, node, "general", message, at, { hint: "100 to 599, or two with a -" });
        }
      }
      // Each line may hold some; what is there stays in place, however many lines there are.
      for (const range of all) before = append(before, range) ?? before;
      return before;
    },
    format: (all) =>
      all.length === 0
        ? []
        : [all.map(({ from, to }) => from === to ? `${from}` : `${from}-${to}`).join(" ")],
  };
}

/** A pattern, by shell-like rules one word. */
export function regex(): LineRow<string | undefined> {
  return {
    doc: "PATTERN - what the body must hold; range one per url, quoted, escapes honoured; " +
      "default none",
    shape: "line",
    initial: undefined,
    read: (node, context, before) => {
      const { words, open } = shellWords(node.raw);
      if (open !== "") {
        const message = `String '${node.raw.trim()}': missing terminating ${open}`;
        complain(context, node, "unmatched_quote", message, 1);
        return undefined;
      }
      if (words.length !== 2) return note(node, context, "regex missing or too many fields");
      if (before === undefined) return words[1];
      return note(node, context, `regex already specified, ignoring ${words[1]}`, 1);
    },
    format: (value) => value === undefined ? [] : [quoteShell(value)],
  };
}

const REGEX_OPTIONS: ReadonlySet<string> = new Set(
  ("allow_empty_class alt_bsux auto_callout caseless dollar_endonly dotall dupnames extended " +
    "firstline match_unset_backref multiline never_ucp never_utf no_auto_capture no_auto_possess " +
    "no_dotstar_anchor no_start_optimize ucp ungreedy utf never_backslash_c alt_circumflex " +
    "alt_verbnames use_offset_limit").split(" "),
);

/** Options of a pattern; unknown ones are passed over in silence. */
export function regexOptions(): LineRow<readonly string[]> {
  const all = names(
    `NAME ... - options of the pattern; range ${[...REGEX_OPTIONS].join(" ")}; default none`,
    "",
  );
  return {
    ...all,
    read: (node) => node.words.slice(1).filter((one) => REGEX_OPTIONS.has(one)),
  };
}

/** An offset into the body. */
export function offset(
  doc: string,
  keyword: string,
): LineRow<number | undefined> {
  return {
    doc,
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const text = firstWord(node, context);
      if (text === undefined) return undefined;
      if (/^[0-9]{1,15}$/.test(text)) return Number(text);
      return note(node, context, `Invalid ${keyword} ${text} specified`, 1);
    },
    format: (value) => value === undefined ? [] : [`${value}`],
  };
}

/** Two sizes of the stack PCRE2 would take. */
export interface PcreStack {
  readonly start: number;
  readonly max: number;
}

/** Sizes of a stack that our patterns do not need. */
export function pcreStack(): LineRow<PcreStack | undefined> {
  return {
    doc: "START MAX - bytes of stack for patterns, without effect; range START not above MAX; " +
      "default library",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const [, first, second] = node.words;
      if (first === undefined || second === undefined) {
        return note(node, context, "regex_stack requires start and max values");
      }
      const [start, max] = [first, second].map((text) =>
        /^[0-9]{1,15}$/.test(text) ? Number(text) : 0
      ) as [number, number];
      if (start === 0) return note(node, context, "regex_stack invalid start value", 1);
      if (max === 0) return note(node, context, "regex_stack invalid max value", 2);
      if (start <= max) return { start, max };
      return note(node, context, "regex stack start cannot exceed max value", 1);
    },
    format: (value) => value === undefined ? [] : [`${value.start} ${value.max}`],
  };
}

/** `METHOD`: a token of RFC 9110 §5.6.2 in capitals. */
export function requestMethod(): LineRow<string | undefined> {
  return ours(word<string, undefined>(
    "METHOD - method of the request, as GET, HEAD or POST; default GET",
    undefined,
    (method, node, context) => {
      if (/^[A-Z][A-Z0-9_-]{0,31}$/.test(method)) return method;
      const message = `Invalid method ${method}`;
      complain(context, node, "general", message, 1, { hint: "a word in capitals, as HEAD" });
      return undefined;
    },
  ));
}

/** Headers a request has anyway. */
const OWN_HEADERS = ["host", "connection", "content-length", "transfer-encoding"];

/** `NAME VALUE`: a header field of the request; more lines add to the first. */
export function requestHeader(): LineRow<readonly (readonly [string, string])[]> {
  return ours({
    doc:
      "NAME VALUE - header field to send, as header Accept text/plain; may come several times; " +
      "range no host, connection, content-length, transfer-encoding; default none",
    shape: "line",
    initial: [],
    read: (node, context, before) => {
      const name = firstWord(node, context, "header name missing");
      if (name === undefined) return undefined;
      const refuse = (message: string, at: number, hint: string): undefined => {
        complain(context, node, "general", message, at, { hint });
      };
      const value = node.words.slice(2).join(" ");
      // RFC 9110 §5.1: a name is a token; §5.5: a value is visible characters and blanks.
      if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
        return refuse(`Invalid header name ${name}`, 1, "the name without a colon, then the value");
      }
      if (OWN_HEADERS.includes(name.toLowerCase())) {
        return refuse(`header ${name} is set by the check itself`, 1, "virtualhost sets the host");
      }
      if (/[^\t\x20-\x7e\u0080-\u00ff]/.test(value)) {
        return refuse(`Invalid value of header ${name}`, 2, "printable characters");
      }
      return append(before, [name, value]);
    },
    format: (all) => all.map(([name, value]) => `${name} ${quote(value)}`),
  });
}

/** The body of a request, by shell-like rules one word. */
export function requestBody(): LineRow<string | undefined> {
  return ours({
    doc: "TEXT - body of the request; quoted, escapes honoured; default none",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const { words, open } = shellWords(node.raw);
      if (open === "" && words[1] !== undefined) return words[1];
      complain(context, node, "general", "body missing or without its last quote", 0);
      return undefined;
    },
    format: (value) => value === undefined ? [] : [quoteShell(value)],
  });
}

/**
 * Bytes in hexadecimal, blanks anywhere between them; a lone digit is a byte of its own. undefined when there
 * are other characters. With `wild`, `x` is a digit that does not matter.
 */
export function hexBytes(words: readonly string[], wild: boolean): string | undefined {
  let all = "";
  for (const word of words) {
    if (!(wild ? /^[0-9a-fA-FxX]+$/ : /^[0-9a-fA-F]+$/).test(word)) return undefined;
    all += word.length % 2 === 0 ? word : `${word.slice(0, -1)}0${word.at(-1)}`;
  }
  return all.toLowerCase();
}

/** What a UDP_CHECK sends. */
export function payload(): LineRow<string | undefined> {
  return {
    doc: "HEX ... - datagram to send; default a text of 32 bytes",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      if (firstWord(node, context, "UDP_CHECK payload requires a payload") === undefined) {
        return undefined;
      }
      const bytes = hexBytes(node.words.slice(1), false);
      if (bytes !== undefined) return bytes;
      const hint = "hexadecimal digits";
      complain(context, node, "general", "Invalid hex string for UDP_CHECK payload", 1, { hint });
      return undefined;
    },
    format: (value) => value === undefined ? [] : [value],
  };
}

/** What a UDP_CHECK wants back: "" is any reply. */
export function requireReply(): LineRow<string | undefined> {
  return {
    doc: "[HEX ...] - fail without a reply, or without this one; x is any digit; default off",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const bytes = hexBytes(node.words.slice(1), true);
      if (bytes !== undefined) return bytes;
      const hint = "hexadecimal digits, x where any will do";
      complain(context, node, "general", "Invalid hex string for UDP_CHECK reply", 1, { hint });
      return undefined;
    },
    format: (value) => value === undefined ? [] : [value],
  };
}

const RECORDS = ["A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY"];

/** A kind of DNS record, in any case. */
export function dnsType(): LineRow<string> {
  return word<string, string>(
    `${RECORDS.join("|")} - record asked for; default SOA`,
    "SOA",
    (name, node, context) => {
      const type = name.toUpperCase();
      if (RECORDS.includes(type)) return type;
      const message = `Unknown DNS check type ${name} - ignoring`;
      complain(context, node, "general", message, 1, { hint: `one of ${RECORDS.join(", ")}` });
      return undefined;
    },
  );
}

/** A domain name without its last dot; "" is the root. RFC 1035 §2.3.4 limits its labels. */
export function dnsName(): LineRow<string> {
  return word<string, string>(
    "DOMAIN - name asked for; range no empty labels; default the root",
    "",
    (first, node, context, before) => {
      if (before !== "") {
        complain(context, node, "general", "DNS_CHECK name already specified - ignoring", 1);
        return undefined;
      }
      const name = first.endsWith(".") ? first.slice(0, -1) : first;
      const labels = name.split(".");
      if (name !== "" && labels.includes("")) {
        const message = `DNS_CHECK name '${first}' has empty label - ignoring`;
        complain(context, node, "general", message, 1);
        return undefined;
      }
      if (name.length <= 253 && labels.every((label) => label.length <= 63)) return name;
      return note(node, context, `DNS_CHECK name '${first}' is too long - ignoring`, 1);
    },
    (name) => name === "" ? "." : quote(name),
  );
}

/** The program of a MISC_CHECK; without a word the block says that it is missing. */
export function miscPath(): LineRow<Script | undefined> {
  return {
    doc: "SCRIPT - program to run, its status is the result; range quoted, escapes honoured; " +
      "default none, mandatory",
    shape: "line",
    initial: undefined,
    read: (node, context) => node.words.length < 2 ? undefined : readScript(node, context),
    format: (value) => value === undefined ? [] : [formatScript(value)],
  };
}

/** Who runs a MISC_CHECK. */
export interface MiscUser {
  readonly user: string;
  /** A leading ":" (kept) also loads the supplementary groups. */
  readonly group?: string | undefined;
}

/** The identity of a MISC_CHECK. */
export function miscUser(): LineRow<MiscUser | undefined> {
  return {
    doc: "USER [[:]GROUP] - who runs misc_path; default script_user",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const missing = "No user specified for misc checker script ";
      const user = firstWord(node, context, missing);
      return user === undefined ? undefined : { user, group: node.words[2] };
    },
    format: (value) =>
      value === undefined
        ? []
        : [[value.user, ...(value.group === undefined ? [] : [value.group])].map(quote).join(" ")],
  };
}

/** A factor for a file's number. */
export interface FileWeight {
  readonly weight: number;
  readonly reverse: boolean;
}

const MOST_WEIGHT = 2_147_483_647;

/** `N [reverse|noreverse]`. */
export function weightOfFile(): LineRow<FileWeight | undefined> {
  return {
    doc: "N [reverse|noreverse] - factor of the file's number; range " +
      `-${MOST_WEIGHT}..${MOST_WEIGHT}; default the track_file's`,
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      if (firstWord(node, context, "track file weight missing") === undefined) return undefined;
      const weight = readInteger(node, 1, context, { min: -MOST_WEIGHT, max: MOST_WEIGHT });
      if (weight === undefined) {
        const message = `weight for track file must be in [-${MOST_WEIGHT}..${MOST_WEIGHT}] ` +
          "inclusive. Ignoring...";
        complain(context, node, "general", message, 1);
        return undefined;
      }
      const option = node.words[2];
      if (option === undefined || option === "noreverse") return { weight, reverse: false };
      if (option === "reverse") return { weight, reverse: true };
      const message = `unknown track file weight option ${option} - ignoring`;
      complain(context, node, "general", message, 2, { hint: "reverse or noreverse" });
      return { weight, reverse: false };
    },
    format: (value) =>
      value === undefined ? [] : [`${value.weight}${value.reverse ? " reverse" : ""}`],
  };
}

/** A name that an earlier block must have defined, of one of several kinds. */
export function definedName(
  doc: string,
  kinds: readonly string[],
  says: (name: string) => string,
): LineRow<string | undefined> {
  return word<string, undefined>(doc, undefined, (name, node, context) => {
    if (kinds.some((kind) => context.names.get(kind)?.has(name) === true)) return name;
    complain(context, node, "general", says(name), 1, { hint: `define it above: ${kinds[0]}` });
    return undefined;
  });
}

/** A label for SNMP: exactly one value. */
export function snmpName(who: string): LineRow<string | undefined> {
  const row = text("STRING - label in SNMP; range exactly one value; default none", "");
  return {
    ...row,
    read: (node, context) => {
      if (node.words.length === 2) return node.words[1];
      const message = `${who} snmp_name missing or extra parameters`;
      complain(context, node, "general", message, 0);
      return undefined;
    },
  };
}
