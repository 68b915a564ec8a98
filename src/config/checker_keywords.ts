/**
 * The keywords of the checks of a real server. What all have in common is made by `timingRows` and
 * `connectionRows`; HTTP_GET and SSL_GET differ in what concerns TLS.
 */
import {
  blocks,
  checks,
  connectionRows,
  isConnectable,
  names,
  ours,
  timingRows,
  tlsRows,
  virtualhost,
} from "./check_rows.ts";
import {
  definedName,
  dnsName,
  dnsType,
  httpProtocol,
  md5,
  miscPath,
  miscUser,
  note,
  offset,
  payload,
  pcreStack,
  regex,
  regexOptions,
  requestBody,
  requestHeader,
  requestMethod,
  requireReply,
  sniName,
  statusCodes,
  weightOfFile,
} from "./checker_rows.ts";
import { serverName } from "../lib/lvs_name.ts";
import { complainOf } from "./lvs_words.ts";
import { alias, bool, flag, integer, text, wholeSeconds, word } from "./readers.ts";
import {
  type Block,
  block,
  type BlockRow,
  complain,
  type Context,
  type LineRow,
  type Values,
} from "./schema.ts";
import type { Statement } from "./statement.ts";

const UINT_MAX = 4_294_967_295;

const SECOND = "server value, else 1";
const ONE_SECOND = "server value, else 1 s";

/** The keywords of TCP_CHECK. */
export const tcpCheck = block(() => ({
  ...connectionRows(),
  ...timingRows(SECOND, ONE_SECOND),
}), "sparse");

/** The keywords of PING_CHECK. */
export const pingCheck = block(() => ({
  ...connectionRows(),
  ...timingRows(SECOND, ONE_SECOND),
}));

/** The keywords of UDP_CHECK. */
export const udpCheck = block(() => ({
  ...connectionRows(),
  ...timingRows(SECOND, ONE_SECOND),
  payload: payload(),
  require_reply: requireReply(),
  min_reply_length: replyLength("N - shortest good reply", "min", 0),
  max_reply_length: replyLength("N - longest good reply", "max", 255),
}));

function replyLength(doc: string, end: "min" | "max", initial: number): LineRow<number> {
  return integer(`${doc}; range 0..65535; default ${initial}`, initial, {
    min: 0,
    max: 65_535,
    says: (text) => `UDP_CHECK ${end} length ${text} not valid - must be between 0 & 65535`,
  });
}

/** The keywords of host inside SMTP_CHECK. */
const smtpHost = block(() => ({
  ...connectionRows(),
  ...timingRows(SECOND, ONE_SECOND),
}));

/** The keywords of SMTP_CHECK. */
export const smtpCheck = block(() => ({
  ...connectionRows(),
  ...timingRows(SECOND, ONE_SECOND),
  helo_name: text(
    "STRING - name for HELO; default smtpchecker.keepalived.org",
    "SMTP_CHECK helo name missing",
  ),
  host: smtpHosts(),
}));

/** More targets; each becomes a check of its own, the settings around it being its defaults. */
function smtpHosts(): BlockRow<readonly Values<typeof smtpHost>[]> {
  return {
    ...checks(
      "one more target, better written as a SMTP_CHECK of its own",
      smtpHost,
      isConnectable,
    ),
    deprecated: true,
    // The addresses of the host are none of the check around it.
    open: (node, context) => {
      const message = "The SMTP_CHECK host block is deprecated. Please define additional checkers.";
      complain(context, node, "note", message, 0);
      return { ...context, lvs: { ...context.lvs, connect_ip: context.lvs.address, bindto: "" } };
    },
  };
}

/** The keywords of DNS_CHECK. */
export const dnsCheck = block(() => ({
  ...connectionRows(),
  ...timingRows("server value, else 3", "server value, else delay_loop"),
  type: dnsType(),
  name: dnsName(),
}));

/** The keywords of GRPC_CHECK. */
export const grpcCheck = block(() => ({
  ...connectionRows(),
  ...timingRows(SECOND, ONE_SECOND),
  service: ours(
    text("NAME - service whose health counts; default the server as a whole", "service missing"),
  ),
  tls: ours(bool("[BOOL] - speak TLS; default off", (text) => `Invalid tls parameter ${text}`)),
  virtualhost: ours(text(
    "STRING - authority of the request, and name to ask for in TLS; default server value",
    "GRPC_CHECK virtualhost name missing",
  )),
  ...tlsRows(),
}));

/** The keywords of MISC_CHECK. */
export const miscCheck = block(() => ({
  ...timingRows("server value, else 0", ONE_SECOND),
  misc_path: miscPath(),
  misc_timeout: wholeSeconds(
    "SECS - limit of one run; range 0..4294; default 0, delay_loop",
    0,
    (text) => `Invalid misc_timeout value '${text}'`,
  ),
  misc_dynamic: flag("- exit statuses 2 to 255 set the weight to status - 2; default off"),
  user: miscUser(),
}));

/** The keywords of FILE_CHECK. */
export const fileCheck = block(() => ({
  track_file: definedName(
    "NAME - which track_file; range defined above; default none, mandatory",
    ["track_file", "vrrp_track_file"],
    (name) => `track_file ${name} not found`,
  ),
  weight: weightOfFile(),
}));

/** The keywords of BFD_CHECK. */
export const bfdCheck = block(() => ({
  name: bfdName(),
  alpha: bool(
    "[BOOL] - down until the session is up; default server value",
    (text) => `Invalid alpha parameter ${text}`,
  ),
}));

/** A refused name is "": it has been complained about. */
function bfdName(): LineRow<string | undefined> {
  return {
    doc: "NAME - which bfd_instance; range at most 31 characters, defined above; default none, " +
      "mandatory",
    shape: "line",
    initial: undefined,
    read: (node, context, before) => {
      const [, name] = node.words;
      const refuse = (what: string, at: number): string => {
        complain(context, node, "general", `(${serverOf(context)}) BFD_CHECK - ${what}`, at);
        return before ?? "";
      };
      if (name === undefined || node.words.length > 2) {
        return refuse("No or too many names specified - skipping checker", 0);
      }
      if (before !== undefined && before !== "") {
        return refuse(`BFD ${name} already specified as ${before}`, 1);
      }
      if (context.names.get("bfd_instance")?.has(name) === true) return name;
      return refuse(`BFD ${name} not configured`, 1);
    },
    format: (value) => value === undefined ? [] : [value],
  };
}

function serverOf({ lvs: { address, port, protocol, target } }: Context): string {
  const own = port === 0 && target.type === "address" ? target.port : port;
  return serverName(address, protocol, own);
}

/** The rows of url in both web checks. */
const urlRows = () => ({
  path: word<string, undefined>(
    "PATH - target of the request; default none, mandatory",
    undefined,
    (path) => path,
  ),
  digest: md5(),
  status_code: statusCodes(),
  virtualhost: virtualhost("checker value", "Missing HTTP_GET virtualhost name"),
  regex: regex(),
  regex_no_match: flag("- a match is the failure; default off"),
  regex_options: regexOptions(),
  regex_min_offset: offset(
    "N - first byte to search; range unsigned long; default 0",
    "regex_min_offset",
  ),
  regex_max_offset: offset(
    "N - last byte a match may start at; range unsigned long, not below regex_min_offset; " +
      "default none",
    "regex_max_offset",
  ),
  regex_stack: pcreStack(),
  method: requestMethod(),
  header: requestHeader(),
  body: requestBody(),
});

const httpUrl = block(urlRows);

const sslUrl = block(() => ({ ...urlRows(), tls_compliant: tlsCompliant("checker value") }));

/** What a url says. */
export type WrittenUrl = Values<typeof httpUrl>;

function tlsCompliant(fallback: string): LineRow<boolean | undefined> {
  return bool(
    `[BOOL] - end TLS with close_notify; default ${fallback}`,
    (text) => `Invalid tls_compliant parameter ${text}`,
  );
}

/** Whether a url can be asked for. */
function isUrl(url: WrittenUrl, node: Statement, context: Context): boolean {
  if (url.path === undefined) {
    complainOf(node, context, "HTTP/SSL_GET checker url has no path - ignoring");
    return false;
  }
  const { regex, regex_min_offset: min, regex_max_offset: max } = url;
  const hasParts = url.regex_no_match || url.regex_options.length > 0 || min !== undefined ||
    max !== undefined;
  if (regex === undefined && hasParts) {
    note(node, context, "regex parameters specified without regex");
  }
  if (min !== undefined && max !== undefined && min > max) {
    note(node, context, `regex min offset ${min} > regex_max_offset ${max} - ignoring`);
  }
  return true;
}

/** The rows of both web checks. */
const webRows = () => ({
  ...connectionRows(),
  ...timingRows(SECOND, "server value, else 3 s"),
  nb_get_retry: alias(
    "retry",
    integer(
      `N - former spelling of retry; range 0..${UINT_MAX}`,
      undefined as number | undefined,
      { min: 0, max: UINT_MAX, says: (text) => `Invalid nb_get_retry value '${text}'` },
    ),
    () => "nb_get_retry is deprecated - please use 'retry'",
  ),
  virtualhost: virtualhost("server or service value", "HTTP_GET virtualhost name missing"),
  http_protocol: httpProtocol(),
  enable_sni: bool(
    "[BOOL] - ask for the server's name in TLS; range without effect in HTTP_GET; default off",
    (text) => `Invalid enable_sni parameter ${text}`,
  ),
  sni_name: sniName(),
  fast_recovery: bool(
    "[BOOL] - no delay between urls when starting or recovering; default off",
    (text) => `Invalid fast_recovery parameter ${text}`,
  ),
});

/** The keywords of HTTP_GET. */
export const httpGet = block(() => ({
  ...webRows(),
  url: urls(httpUrl),
}));

/** The keywords of SSL_GET. */
export const sslGet = block(() => ({
  ...webRows(),
  tls_compliant: tlsCompliant("off"),
  ...tlsRows(),
  alpn: ours(
    names("NAME ... - protocols to offer in TLS, best first; default none", "alpn missing"),
  ),
  url: urls(sslUrl),
}));

function urls<R extends ReturnType<typeof urlRows>>(
  inside: Block<R>,
): BlockRow<readonly Values<Block<R>>[]> {
  return blocks<R, Values<Block<R>>>("one request; range at least one, path mandatory", inside, {
    close: (values, node, context) =>
      isUrl(values as WrittenUrl, node, context) ? values : undefined,
    format: (values) => values,
  });
}

/** Whether a web check has anything to ask for. */
function hasUrl(
  values: { readonly url: readonly unknown[]; readonly bind_if: string | undefined },
  node: Statement,
  context: Context,
): boolean {
  if (values.url.length > 0) return isConnectable(values, node, context);
  complainOf(node, context, "HTTP/SSL_GET checker has no urls specified - ignoring");
  return false;
}

/** The checks of a real server, by keyword. */
export const checkBlocks = () => ({
  TCP_CHECK: checks("a connection opens", tcpCheck, isConnectable),
  HTTP_GET: checks("web pages over HTTP; range at least one url", httpGet, hasUrl),
  SSL_GET: checks("web pages over TLS; range at least one url", sslGet, hasUrl),
  SMTP_CHECK: checks("a mail server greets and takes a HELO", smtpCheck, isConnectable),
  DNS_CHECK: checks("a question is answered, over UDP", dnsCheck, isConnectable),
  UDP_CHECK: checks(
    "a datagram is not refused, or is answered",
    udpCheck,
    (values, node, context) => {
      const { min_reply_length: min, max_reply_length: max } = values;
      if (min > max) {
        const message = `UDP_CHECK min_reply length ${min} > max_reply_length ${max} ` +
          "- will always fail";
        complainOf(node, context, message);
      }
      return isConnectable(values, node, context);
    },
  ),
  PING_CHECK: checks("an echo comes back, over a datagram socket", pingCheck, isConnectable),
  GRPC_CHECK: ours(
    checks("a health service says SERVING (grpc.health.v1)", grpcCheck, isConnectable),
  ),
  MISC_CHECK: checks(
    "a program ends with status 0",
    miscCheck,
    ({ misc_path }, node, context) => {
      if (misc_path !== undefined) return true;
      complainOf(node, context, "No script path has been specified for MISC_CHECKER - skipping");
      return false;
    },
  ),
  FILE_CHECK: checks(
    "a file's number adds to the weight; range needs a track_file",
    fileCheck,
    ({ track_file }, node, context) => {
      if (track_file !== undefined) return true;
      complainOf(node, context, "FILE_CHECK has no track_file specified - ignoring");
      return false;
    },
  ),
  BFD_CHECK: checks(
    "a BFD session is up; range needs a bfd_instance defined above",
    bfdCheck,
    ({ name }, node, context) => {
      if (name !== undefined) return name !== "";
      const what = "No name has been specified for BFD_CHECKER - skipping";
      complainOf(node, context, `(${serverOf(context)}) ${what}`);
      return false;
    },
  ),
});
