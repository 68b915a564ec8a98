/**
 * Rows that the tables of services, real servers and checks are made of: pauses, blocks that may come
 * several times, what all checks have in common, and the settings of TLS.
 */
import { familyOfText } from "./lvs_reading.ts";
import { complainOf, PORTS, readAddress } from "./lvs_words.ts";
import { append, bool, formatSeconds, integer, type Says, seconds, text, word } from "./readers.ts";
import {
  type Block,
  type BlockRow,
  complain,
  type Context,
  firstWord,
  type LineRow,
  readSeconds,
  type Rows,
  UNLIMITED_S,
  type Values,
  type Written,
} from "./schema.ts";
import type { Statement } from "./statement.ts";
import { quote } from "./words.ts";

/** The greatest unsigned int. */
export const UINT_MAX = 4_294_967_295;
/** The greatest int. */
export const INT_MAX = 2_147_483_647;
const LONGEST_NAME = 15;
const TIMER = "range 0.000001..max";

/** A pause, which may be 0. A text that is no number at all gets no second message. */
export function pause(doc: string, says: Says): LineRow<number | undefined> {
  return {
    doc: `TIMER - ${doc}`,
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const text = firstWord(node, context);
      if (text === undefined) return undefined;
      const value = readSeconds(node, 1, context, { min: 0, max: UNLIMITED_S });
      if (value === undefined && text.startsWith("-")) {
        complain(context, node, "general", says(text, context.who), 1);
      }
      return value;
    },
    format: (value) => value === undefined ? [] : [formatSeconds(value)],
  };
}

/** A period, which may not be 0. */
export function period(
  doc: string,
  fallback: string,
  says: Says,
): LineRow<number | undefined> {
  const rules = { min: 0.000001, max: UNLIMITED_S, says };
  return seconds(`TIMER - ${doc}; ${TIMER}; default ${fallback}`, undefined, rules);
}

/** A limit for a connection to open. */
export function connectTimeout(fallback: string, says: Says): LineRow<number | undefined> {
  return seconds(
    `TIMER - how long a connection may take to open; range 0.000001..4294.967295; default ${fallback}`,
    undefined,
    { min: 0.000001, max: UINT_MAX / 1e6, says },
  );
}

/** A block of keywords that may come several times. */
export interface BlocksOf<V, T> {
  /** Before its first line; false skips it. */
  readonly open?: (node: Statement, context: Context) => boolean;
  /** What the block gives; undefined, with a message, drops it. */
  readonly close: (values: V, node: Statement, context: Context) => T | undefined;
  readonly format: (value: T) => V;
}

/** A list of blocks. */
export function blocks<R extends Rows, T>(
  doc: string,
  inside: Block<R>,
  { open, close, format }: BlocksOf<Values<Block<R>>, T>,
): BlockRow<readonly T[]> {
  return {
    doc: `{ ... } - ${doc}`,
    shape: "block",
    initial: [],
    inside,
    open: (node, context) => open?.(node, context) === false ? undefined : context,
    close: (values, node, inner, before) => {
      const value = close(values as Values<Block<R>>, node, inner);
      return value === undefined ? undefined : append(before, value);
    },
    format: (all) => all.map((one) => ({ words: "", values: format(one) as Written })),
  };
}

/** A list of blocks whose values are what their lines say. */
export function checks<R extends Rows>(
  doc: string,
  inside: Block<R>,
  /** Whether the block is complete; if not it has said so. */
  isComplete: (values: Values<Block<R>>, node: Statement, context: Context) => boolean = () => true,
): BlockRow<readonly Values<Block<R>>[]> {
  return blocks<R, Values<Block<R>>>(doc, inside, {
    open: (_node, { lvs }) => {
      lvs.connect_ip = lvs.address;
      lvs.bindto = "";
      return true;
    },
    close: (values, node, context) => {
      if (!isComplete(values, node, context)) return undefined;
      context.lvs.checks++;
      return values;
    },
    format: (values) => values,
  });
}

/** When a check runs and what it takes to fail. */
export interface TimingRows {
  readonly retry: LineRow<number | undefined>;
  readonly delay_before_retry: LineRow<number | undefined>;
  readonly warmup: LineRow<number | undefined>;
  readonly delay_loop: LineRow<number | undefined>;
  readonly alpha: LineRow<boolean | undefined>;
  readonly log_all_failures: LineRow<boolean | undefined>;
}

/** The rows of every check with a schedule; `retry` and `delay` say its defaults. */
export function timingRows(retry: string, delay: string): TimingRows {
  return {
    retry: integer(
      `N - extra attempts before the check fails; range 0..${UINT_MAX}; default ${retry}`,
      undefined,
      { min: 0, max: UINT_MAX, says: (text) => `Invalid retry connection value '${text}'` },
    ),
    delay_before_retry: pause(
      `pause before an extra attempt; default ${delay}`,
      (text) => `Invalid delay_before_retry connection value '${text}'`,
    ),
    warmup: pause(
      "upper bound of the random first delay; default server value, else delay_loop",
      (text) => `Invalid warmup connection value '${text}'`,
    ),
    delay_loop: period(
      "time between two checks",
      "server value",
      (text) => `delay_loop '${text}' is invalid - ignoring`,
    ),
    alpha: bool(
      "[BOOL] - down until a first success; default server value",
      (text) => `Invalid alpha parameter ${text}`,
    ),
    log_all_failures: bool(
      "[BOOL] - log each failure, not the first alone; default checker_log_all_failures",
      (text) => `Invalid log_all_failures parameter ${text}`,
    ),
  };
}

/** Where a check connects to, and from where. */
export interface ConnectionRows {
  readonly connect_ip: LineRow<string | undefined>;
  readonly connect_port: LineRow<number | undefined>;
  readonly bindto: LineRow<string | undefined>;
  readonly bind_port: LineRow<number | undefined>;
  readonly bind_if: LineRow<string | undefined>;
  readonly connect_timeout: LineRow<number | undefined>;
  readonly fwmark: LineRow<number>;
}

/** The rows of every check that connects. */
export function connectionRows(): ConnectionRows {
  return {
    connect_ip: address("address to check", "server address", "connect_ip", "bindto"),
    connect_port: port("port to check", "server port", "connect_port"),
    bindto: address("source address", "none", "bindto", "connect_ip"),
    bind_port: port("source port", "none", "bind_port"),
    bind_if: word<string, undefined>(
      "IFNAME - source interface, which link-local addresses need; range 15 characters; " +
        "default none",
      undefined,
      (name, node, context) => {
        if (name.length <= LONGEST_NAME) return name;
        const message = `Interface name ${name} is too long - ignoring`;
        complain(context, node, "general", message, 1, {
          hint: `at most ${LONGEST_NAME} characters`,
        });
        return undefined;
      },
    ),
    connect_timeout: connectTimeout(
      "server value (5)",
      (text) => `connect_timeout ${text} invalid - ignoring`,
    ),
    fwmark: integer(
      `N - firewall mark of the check's packets; range 0..${UINT_MAX}; default 0`,
      0,
      {
        min: 0,
        max: UINT_MAX,
        says: (text) => `Invalid fwmark connection value '${text}'`,
      },
    ),
  };
}

/** An address of a check; both of one check must be of one family. */
function address(
  doc: string,
  fallback: string,
  keyword: "connect_ip" | "bindto",
  other: "connect_ip" | "bindto",
): LineRow<string | undefined> {
  return word<string, undefined>(
    `IPADDR - ${doc}; range family must match ${other}; default ${fallback}`,
    undefined,
    (first, node, context) => {
      const found = readAddress(first);
      if (found === undefined) {
        const message = `Invalid ${keyword} address ${first} - ignoring`;
        complain(context, node, "general", message, 1, { hint: "an IPv4 or IPv6 address" });
        return undefined;
      }
      const { lvs } = context;
      if (lvs[other] !== "" && familyOfText(lvs[other]) !== familyOfText(found)) {
        const message = `${keyword} address ${first} does not match address family of ${other} ` +
          "- skipping";
        complain(context, node, "general", message, 1, { hint: `${other} is ${lvs[other]}` });
        return undefined;
      }
      lvs[keyword] = found;
      return found;
    },
  );
}

function port(doc: string, fallback: string, keyword: string): LineRow<number | undefined> {
  return integer(`PORT - ${doc}; range 1..65535; default ${fallback}`, undefined, {
    ...PORTS,
    says: (text) => `Invalid checker ${keyword} '${text}'`,
  });
}

/** Whether a check's addresses can be used: one that is link-local needs an interface. */
export function isConnectable(
  { bind_if }: { readonly bind_if: string | undefined },
  node: Statement,
  context: Context,
): boolean {
  const { connect_ip } = context.lvs;
  if (bind_if !== undefined || !isLinkLocal(connect_ip)) return true;
  complainOf(node, context, `Checker link local address ${connect_ip} requires a bind_if`);
  return false;
}

/** fe80::/10 */
function isLinkLocal(address: string): boolean {
  return address.charCodeAt(0) === 0x66 && /^fe[89ab][0-9a-f]:/.test(address);
}

/** The same row, as one that keepalived does not know. */
export function ours<R extends object>(row: R): R {
  return { ...row, ours: true };
}

/** The certificates of a check that speaks TLS. */
export interface TlsRows {
  readonly tls_verify: LineRow<boolean | undefined>;
  readonly tls_days: LineRow<number | undefined>;
  readonly client_cert: LineRow<string | undefined>;
  readonly client_key: LineRow<string | undefined>;
}

/** The rows of every check that speaks TLS. */
export function tlsRows(): TlsRows {
  const file = (doc: string, keyword: string): LineRow<string | undefined> =>
    ours(text(`PATH - ${doc}; default none`, `${keyword} file missing`));
  return {
    tls_verify: ours(bool(
      "[BOOL] - refuse a certificate that is not trusted, expired or of another name; default off",
      (text) => `Invalid tls_verify parameter ${text}`,
    )),
    tls_days: ours(integer(
      "N - refuse a certificate that expires in fewer days; range 1..36500; default any",
      undefined,
      { min: 1, max: 36_500, says: (text) => `Invalid tls_days value '${text}'` },
    )),
    client_cert: file("certificate chain to show to the server, PEM", "client_cert"),
    client_key: file("private key of client_cert, PEM", "client_key"),
  };
}

/** A Host header. */
export function virtualhost(doc: string, missing: string): LineRow<string | undefined> {
  return text(`STRING - Host header of web checks; default ${doc}`, missing);
}

/** Several words, one or more, as they are. */
export function names(doc: string, missing: string): LineRow<readonly string[]> {
  return {
    doc,
    shape: "line",
    initial: [],
    read: (node, context) => {
      if (node.words.length > 1) return node.words.slice(1);
      complain(context, node, "general", missing, 0);
      return undefined;
    },
    format: (all) => all.length === 0 ? [] : [all.map(quote).join(" ")],
  };
}
