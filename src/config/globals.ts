/**
 * global_defs: the daemon-wide settings, and the defaults that instances copy. The block may come
 * several times; its statements add up.
 */
import { familyOf, formatAddress, parseAddress } from "../lib/address.ts";
import {
  act,
  bool,
  flag,
  integer,
  later,
  nameList,
  text,
  wholeSeconds,
  word,
  words,
} from "./readers.ts";
import { block, complain, firstWord, type LineRow, readInteger, type Values } from "./schema.ts";
import { quote } from "./words.ts";

/** An identity for scripts, by name. */
export interface ScriptUser {
  readonly user: string;
  /** A leading ":" (kept) also loads the supplementary groups. */
  readonly group?: string;
}

/** The settings of global_defs, defaults filled in. Durations are integer microseconds. Plain JSON. */
export interface Globals {
  /** The host name unless set. */
  readonly router_id: string;
  readonly notification_email: readonly string[];
  /** keepalived@HOSTNAME when absent. */
  readonly notification_email_from?: string;
  readonly smtp_server?: { readonly host: string; readonly port: number };
  /** 1 second or more. */
  readonly smtp_connect_timeout: number;
  readonly script_user?: ScriptUser;
  /** The default of every smtp_alert. */
  readonly smtp_alert?: boolean;
  readonly enable_script_security: boolean;
  /** -1 to 99; 0 is off. */
  readonly max_auto_priority: number;
  /** Interfaces may appear later. */
  readonly dynamic_interfaces: boolean;
  /** `dynamic_interfaces allow_if_changes`. */
  readonly allow_if_changes: boolean;
  readonly vrrp_check_unicast_src: boolean;
  readonly vrrp_version: 2 | 3;
  readonly vrrp_mcast_group4: string;
  readonly vrrp_mcast_group6: string;
  readonly vrrp_garp_master_delay: number;
  readonly vrrp_garp_master_repeat: number;
  /** 0 is off. */
  readonly vrrp_garp_master_refresh: number;
  readonly vrrp_garp_master_refresh_repeat: number;
  readonly vrrp_garp_lower_prio_delay: number;
  /** 0 sends none. */
  readonly vrrp_garp_lower_prio_repeat: number;
}

const UINT_MAX = 4_294_967_295;
const INT_MAX = 2_147_483_647;

const invalid = (keyword: string) => (text: string): string =>
  `${keyword} '${text}' invalid - ignoring`;
const raised = (keyword: string) => (): string => `${keyword} must be greater than 0, setting to 1`;

/** A number of frames, at least 1. */
function frames<D extends number | undefined>(
  keyword: string,
  doc: string,
  initial: D,
): LineRow<number | D> {
  return integer(doc, initial, {
    min: 0,
    max: UINT_MAX,
    says: invalid(keyword),
    raised: raised(keyword),
  });
}

/** A multicast address of one family. */
function group(doc: string, initial: string, family: 4 | 6): LineRow<string> {
  return word<string, string>(doc, initial, (first, node, context) => {
    const keyword = `vrrp_mcast_group${family}`;
    const address = parseAddress(first);
    const isMulticast = address !== undefined &&
      (family === 4 ? (address[0]! & 0xf0) === 0xe0 : address[0] === 0xff);
    const refuse = (message: string): undefined => {
      complain(context, node, "general", message, 1);
    };
    if (address === undefined) return refuse(`Can't parse ${keyword} [${first}]. Skipping`);
    if (familyOf(address) !== family) {
      return refuse(`${keyword} [${first}] is not IPv${family}. Skipping`);
    }
    if (!isMulticast) return refuse(`${keyword} [${first}] is not multicast. Skipping`);
    if (family === 6 && (address[1]! & 15) !== 2) {
      refuse(`${keyword} [${first}] should be link-local multicast.`);
    }
    return formatAddress(address);
  });
}

/** The keywords of global_defs. */
export const globalDefs = block(() => ({
  router_id: text(
    "STRING - name of this router in mails and SNMP; default the host name",
    "routerid name missing - ignoring",
  ),
  notification_email: later(nameList("notification_email { ADDRESS ... } - who gets alert mails")),
  notification_email_from: later(text(
    "ADDRESS - sender of alert mails; default keepalived@HOSTNAME",
    "emailfrom missing - ignoring",
  )),
  smtp_server: later(smtpServer()),
  smtp_connect_timeout: later(integer(
    "smtp_connect_timeout SECS - limit for each step of a mail, 1 to 4294; 30",
    30_000_000,
    {
      min: 0,
      max: 4294,
      times: 1_000_000,
      says: (text) => `smtp_connect_timeout '${text}' must be in [0, 4294] - ignoring`,
      raised: () => "smtp_conect_timeout must be greater than 0, setting to 1",
    },
  )),
  smtp_alert: later(
    bool(
      "smtp_alert [BOOL] - default of every smtp_alert; unset",
      (text) => `Invalid smtp_alert option '${text}'`,
    ),
  ),
  script_user: later(words(
    "script_user USER [[:]GROUP] - who runs scripts; keepalived_script if it exists",
    "No script username specified",
    ([user, group]): ScriptUser => ({
      user: user!,
      ...(group === undefined ? {} : { group }),
    }),
    ({ user, group }) => [user, ...(group === undefined ? [] : [group])].map(quote).join(" "),
  )),
  enable_script_security: later(flag(
    "enable_script_security - refuse scripts that root runs and others may change; off",
  )),
  max_auto_priority: later(maxAutoPriority()),
  dynamic_interfaces: dynamicInterfaces(),
  vrrp_check_unicast_src: flag(
    "vrrp_check_unicast_src - accept unicast adverts from listed peers only; off",
  ),
  vrrp_version: integer("vrrp_version 2|3 - default protocol version; 2, IPv6 always 3", 2, {
    min: 2,
    max: 3,
    says: () => "VRRP Error: Version must be either 2 or 3",
  }),
  vrrp_mcast_group4: group(
    "vrrp_mcast_group4 IPV4 - group of adverts; 224.0.0.18",
    "224.0.0.18",
    4,
  ),
  vrrp_mcast_group6: group("vrrp_mcast_group6 IPV6 - group of adverts; ff02::12", "ff02::12", 6),
  vrrp_garp_master_delay: wholeSeconds(
    "vrrp_garp_master_delay SECS - wait before the second burst, 0 to 4294; 5",
    5_000_000,
    invalid("vrrp_garp_master_delay"),
  ),
  vrrp_garp_master_repeat: frames(
    "vrrp_garp_master_repeat",
    "vrrp_garp_master_repeat N - frames per burst, 1 or more; 5",
    5,
  ),
  vrrp_garp_master_refresh: integer(
    "vrrp_garp_master_refresh SECS - period of refreshing bursts; 0, off",
    0,
    {
      min: 0,
      max: UINT_MAX,
      times: 1_000_000,
      says: (text) => `Invalid vrrp_garp_master_refresh '${text}' - ignoring`,
    },
  ),
  vrrp_garp_master_refresh_repeat: frames(
    "vrrp_garp_master_refresh_repeat",
    "vrrp_garp_master_refresh_repeat N - frames per refreshing burst, 1 or more; 1",
    1,
  ),
  vrrp_garp_lower_prio_delay: wholeSeconds(
    "vrrp_garp_lower_prio_delay SECS - the same after a lower advert; vrrp_garp_master_delay",
    undefined,
    invalid("vrrp_garp_lower_prio_delay"),
  ),
  vrrp_garp_lower_prio_repeat: integer(
    "vrrp_garp_lower_prio_repeat N - frames after a lower advert, 0 none; vrrp_garp_master_repeat",
    undefined,
    { min: 0, max: INT_MAX, says: (text) => `Invalid vrrp_garp_lower_prio_repeat '${text}'` },
  ),
  include_check: act(
    "[[+|-]CHECK ...] - include mistakes that are fatal: readable, match, wildcard_match, " +
      "brace_match; all of them without a word; default none",
    (node, context) => context.setIncludeChecks(node.words.slice(1)),
  ),
}));

function smtpServer(): LineRow<Globals["smtp_server"] | undefined> {
  return {
    doc: "smtp_server HOST|IP [PORT] - relay for alert mails, port 25; none, no mails",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const host = firstWord(node, context);
      const port = node.words[2];
      if (host === undefined) return undefined;
      if (port === undefined) return { host: host, port: 25 };
      const number = readInteger(node, 2, context, { min: 1, max: 65_535 });
      return number === undefined ? undefined : { host: host, port: number };
    },
  };
}

function maxAutoPriority(): LineRow<number> {
  return {
    doc: "max_auto_priority [N] - ceiling of the automatic real-time priority, -1 to 99; 0, off",
    shape: "line",
    initial: 0,
    read: (node, context) => {
      const first = node.words[1];
      if (first === undefined) return 99;
      const value = readInteger(node, 1, context, { min: -1, max: 99 });
      if (value === undefined) {
        const message = `max_auto_priority '${first}' must be in [0, 99] ` +
          `(or -1 to disable) - ignoring`;
        complain(context, node, "general", message, 1);
      }
      return value;
    },
  };
}

function dynamicInterfaces(): LineRow<"" | "on" | "allow_if_changes"> {
  return {
    doc: "dynamic_interfaces [allow_if_changes] - interfaces may appear later; off",
    shape: "line",
    initial: "",
    read: (node, context) => {
      const option = node.words[1];
      if (option === undefined) return "on";
      if (option === "allow_if_changes") return "allow_if_changes";
      const message = `Unknown dynamic_interfaces option '${option}'`;
      complain(context, node, "general", message, 1, { hint: "allow_if_changes or nothing" });
      return undefined;
    },
  };
}

/** What global_defs says, with the defaults filled in. */
export function completeGlobals(values: Values<typeof globalDefs>, hostName: string): Globals {
  const { notification_email_from, smtp_server, script_user, smtp_alert } = values;
  return {
    router_id: values.router_id ?? hostName,
    notification_email: values.notification_email,
    ...(notification_email_from === undefined ? {} : { notification_email_from }),
    ...(smtp_server === undefined ? {} : { smtp_server }),
    smtp_connect_timeout: values.smtp_connect_timeout,
    ...(script_user === undefined ? {} : { script_user }),
    ...(smtp_alert === undefined ? {} : { smtp_alert }),
    enable_script_security: values.enable_script_security,
    max_auto_priority: values.max_auto_priority,
    dynamic_interfaces: values.dynamic_interfaces !== "",
    allow_if_changes: values.dynamic_interfaces === "allow_if_changes",
    vrrp_check_unicast_src: values.vrrp_check_unicast_src,
    vrrp_version: values.vrrp_version === 3 ? 3 : 2,
    vrrp_mcast_group4: values.vrrp_mcast_group4,
    vrrp_mcast_group6: values.vrrp_mcast_group6,
    vrrp_garp_master_delay: values.vrrp_garp_master_delay,
    vrrp_garp_master_repeat: values.vrrp_garp_master_repeat,
    vrrp_garp_master_refresh: values.vrrp_garp_master_refresh,
    vrrp_garp_master_refresh_repeat: values.vrrp_garp_master_refresh_repeat,
    vrrp_garp_lower_prio_delay: values.vrrp_garp_lower_prio_delay ?? values.vrrp_garp_master_delay,
    vrrp_garp_lower_prio_repeat: values.vrrp_garp_lower_prio_repeat ??
      values.vrrp_garp_master_repeat,
  };
}
