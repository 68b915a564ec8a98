/**
 * What is mailed and posted, to whom, and in which words: pure. Subjects and bodies of mails are keepalived's,
 * as programs sort by them; what is posted is ours.
 */

import type { Config } from "../config/load.ts";
import type { VrrpSyncGroup } from "../config/sync_group.ts";
import type { VrrpInstance } from "../config/vrrp.ts";
import { serverName, serviceName } from "../lib/lvs_name.ts";
import type { FromRole } from "./channel.ts";
import type { FromCheckers } from "./checkers_channel.ts";
import type { Alert, MailSettings } from "./operate_channel.ts";

/** A change of state as scripts are told of it. */
export interface Change {
  readonly type: "change";
  readonly kind: "INSTANCE" | "GROUP";
  readonly owner: Pick<VrrpInstance | VrrpSyncGroup, "name" | "smtp_alert" | "notify_webhook">;
  readonly state: "MASTER" | "BACKUP" | "FAULT" | "STOP" | "DELETED";
  readonly previous: string;
  /** 0 for a group. */
  readonly priority: number;
  readonly reason?: string;
  readonly peer?: string;
}

type VrrpEvent = Extract<
  FromRole,
  { type: "priority" | "rival" | "conflict" | "lower-priority" }
>;
type CheckEvent = Extract<FromCheckers, { type: "check" }>;
type QuorumEvent = Extract<FromCheckers, { type: "quorum" }>;
type ServerEvent = Extract<FromCheckers, { type: "real-server" }>;

/** Everything that may be worth an alert. */
export type Happening = Change | VrrpEvent | ServerEvent | CheckEvent | QuorumEvent;

/** How mails are sent; undefined when there is nobody to send them, or to send them to. */
export function mailSettings({ globals }: Config, hostName: string): MailSettings | undefined {
  const { smtp_server, notification_email, notification_email_from, smtp_helo_name } = globals;
  if (smtp_server === undefined || notification_email.length === 0) return undefined;
  return {
    ...smtp_server,
    helo: smtp_helo_name ?? hostName,
    from: notification_email_from ?? `keepalived@${hostName}`,
    to: notification_email,
    timeoutUs: globals.smtp_connect_timeout,
  };
}

/** Whether anything at all can become an alert. */
export function wantsAlerts(config: Config, hostName: string): boolean {
  const owners = [...config.vrrp_instances, ...config.vrrp_sync_groups ?? []];
  const isPosting = [config.globals, ...owners].some((one) =>
    (one.notify_webhook ?? []).length > 0
  );
  if (isPosting) return true;
  const servers = (config.virtual_servers ?? []).flatMap((one) => [one, ...one.real_servers]);
  return mailSettings(config, hostName) !== undefined &&
    [...owners, ...servers].some(({ smtp_alert }) => smtp_alert);
}

/** Makes alerts of what happens. */
export class Alerts {
  readonly #hostName: string;
  #config: Config | undefined;
  /** The state that the last mail about an instance or group told of. */
  readonly #mailed = new Map<string, string>();
  /** Who wants mails, of servers by service and server. */
  #mailing: ReadonlySet<string> = new Set();

  constructor(hostName: string) {
    this.#hostName = hostName;
  }

  /** What holds from now on. */
  configure(config: Config): void {
    this.#config = config;
    this.#mailing = mailingServers(config);
  }

  /** What is to be sent because of something that has happened at this time (milliseconds since 1970). */
  of(happening: Happening, at: number): Alert[] {
    const config = this.#config;
    if (config === undefined) return [];
    const { globals } = config;
    const posts = happening.type === "check" ? [] : this.#posts(happening, config, at);
    const mail = mailSettings(config, this.#hostName) === undefined
      ? undefined
      : this.#mailOf(happening, config);
    if (mail === undefined) return posts;
    const subject = `[${globals.router_id}] ${mail.subject}`;
    return [{ type: "mail", subject, body: `=> ${mail.body} <=`, at }, ...posts];
  }

  #posts(happening: Exclude<Happening, CheckEvent>, config: Config, at: number): Alert[] {
    // Before its first state an instance is of no interest.
    if (happening.type === "priority" && happening.state === "INIT") return [];
    const { notify_webhook = [], router_id: router } = config.globals;
    const event = { time: new Date(at).toISOString(), router, ...detailsOf(happening) };
    const urls = new Set([...notify_webhook, ...this.#ownUrls(happening, config)]);
    return [...urls].map((url) => ({ type: "post", url, event }));
  }

  #ownUrls(happening: Happening, config: Config): readonly string[] {
    if (happening.type === "change") return happening.owner.notify_webhook ?? [];
    if (!("instance" in happening)) return [];
    const owner = config.vrrp_instances.find(({ name }) => name === happening.instance);
    return owner?.notify_webhook ?? [];
  }

  #mailOf(happening: Happening, config: Config): Words | undefined {
    switch (happening.type) {
      case "change": {
        const { kind, owner: { name, smtp_alert }, state } = happening;
        const isHidden = state === "FAULT" && config.globals.no_email_faults === true;
        const key = `${kind} ${name}`;
        if (!smtp_alert || isHidden || this.#mailed.get(key) === state) return undefined;
        this.#mailed.set(key, state);
        return wordsOf(happening);
      }
      case "check": {
        const { service, server, isChange } = happening;
        const isHidden = !isChange && config.globals.no_checker_emails === true;
        if (isHidden || !this.#mailing.has(`${service} ${server}`)) return undefined;
        return wordsOfServer(happening, `Realserver ${server} of virtual server ${service}`);
      }
      case "quorum": {
        const { service } = happening;
        if (!this.#mailing.has(service)) return undefined;
        return wordsOfServer(happening, `Virtualserver ${service}`);
      }
      case "real-server":
      case "priority":
      case "lower-priority":
      case "rival":
      case "conflict":
        return undefined;
    }
  }
}

/** What a mail says. */
interface Words {
  readonly subject: string;
  readonly body: string;
}

function wordsOf({ kind, owner: { name }, state }: Change): Words {
  const subject = `VRRP ${kind === "GROUP" ? "Group" : "Instance"} ${name} - `;
  switch (state) {
    case "DELETED":
      return { subject: `${subject}Deleted`, body: "VRRP Deleted at reload" };
    case "STOP":
      return { subject: `${subject}Stopping`, body: "VRRP is stopping" };
    default: {
      const entering = `${subject}Entering ${state} state`;
      if (kind === "GROUP") {
        return { subject: entering, body: `All VRRP group instances are now in ${state} state` };
      }
      const change = state === "MASTER" ? "now" : "no longer";
      return { subject: entering, body: `VRRP Instance is ${change} owning VRRP VIPs` };
    }
  }
}

function wordsOfServer({ isUp, mail }: CheckEvent | QuorumEvent, whose: string): Words {
  return { subject: `${whose} - ${isUp ? "UP" : "DOWN"}`, body: mail };
}

function mailingServers({ virtual_servers = [] }: Config): ReadonlySet<string> {
  return new Set(virtual_servers.flatMap(({ target, protocol, smtp_alert, real_servers }) => {
    const service = serviceName(target, (protocol ?? "none").toLowerCase());
    const servers = real_servers.filter((one) => one.smtp_alert).map(({ address, port }) =>
      `${service} ${serverName(address, (protocol ?? "none").toLowerCase(), port)}`
    );
    return smtp_alert ? [service, ...servers] : servers;
  }));
}

/** What is posted of an event, besides when and where. */
function detailsOf(happening: Exclude<Happening, CheckEvent>): Readonly<Record<string, unknown>> {
  switch (happening.type) {
    case "change": {
      const { kind, owner: { name }, state, previous, priority, reason, peer } = happening;
      const isGroup = kind === "GROUP";
      return {
        event: "state",
        [isGroup ? "group" : "instance"]: name,
        state,
        previous,
        ...(isGroup ? {} : { priority }),
        ...(reason === undefined ? {} : { reason }),
        ...(peer === undefined ? {} : { peer }),
      };
    }
    case "priority": {
      const { instance, state, priority, base, contributions, stuck } = happening;
      const no_failover = stuck === undefined ? {} : { no_failover: stuck };
      return { event: "priority", instance, state, priority, base, contributions, ...no_failover };
    }
    case "lower-priority": {
      const { instance, priority, peer, peerPriority } = happening;
      return { event: "lower_priority", instance, priority, peer, peer_priority: peerPriority };
    }
    case "rival":
      return {
        event: "split_brain",
        instance: happening.instance,
        peer: happening.peer,
        likely_cause: happening.cause,
      };
    case "conflict":
      return {
        event: "address_conflict",
        instance: happening.instance,
        address: happening.address,
      };
    case "real-server": {
      const { service, server, isUp, isOrdered } = happening;
      const state = isUp ? "UP" : "DOWN";
      const ordered = isOrdered === true ? { ordered: true } : {};
      return { event: "real_server", service, server, state, ...ordered };
    }
    case "quorum":
      return {
        event: "quorum",
        service: happening.service,
        state: happening.isUp ? "UP" : "DOWN",
      };
  }
}
