/**
 * IPVS in the kernel: its table read and changed over generic netlink, many changes to a datagram. The only
 * place of the load balancer where a refusal is caught.
 */

import { ENOENT, ESRCH, NETLINK_GENERIC } from "../../ffi/constants.ts";
import { readText } from "../../ffi/file.ts";
import { SysError } from "../../ffi/libc.ts";
import { inNetworkNamespace } from "../../ffi/process.ts";
import { Netlink, type Request } from "../../ffi/netlink.ts";
import { decodeFamily, encodeGetFamily } from "../netlink/generic.ts";
import {
  decodeService,
  encodeDeleteService,
  encodeDumpServices,
  encodeFlush,
  encodeNewService,
  encodeSetService,
  IPVS_GENL_NAME,
  type Service,
} from "../netlink/ipvs.ts";
import {
  decodeDaemon,
  decodeTimeouts,
  encodeDeleteDaemon,
  encodeDumpDaemons,
  encodeGetTimeouts,
  encodeNewDaemon,
  encodeSetTimeouts,
  type IpvsTimeouts,
  type SyncDaemon,
} from "../netlink/ipvs_control.ts";
import {
  decodeDestination,
  type Destination,
  encodeDeleteDestination,
  encodeDumpDestinations,
  encodeNewDestination,
  encodeSetDestination,
} from "../netlink/ipvs_destination.ts";
import type { Command } from "./diff.ts";
import { refusalText } from "./refusals.ts";
import { destinationId, type Entry, serviceId, type Table } from "./table.ts";

/** Requests in a datagram: some 50 kB. */
const CHUNK = 300;
const MODULE = "ip_vs";
const MODPROBE = "/sbin/modprobe";
const MODPROBE_SETTING = "/proc/sys/kernel/modprobe";

/** Whom the table is asked of and changed through. */
export type Conversation = Pick<Netlink, "perform" | "dump">;

/** The kernel has no IPVS, and none could be loaded. */
export class NoIpvs extends Error {}

/** What became of commands. */
export interface Outcome {
  /** In keepalived's words, with the service and the destination. */
  readonly refusals: readonly string[];
  /** The table is not what we took it for: what the refused commands were about must be read anew. */
  readonly stale: ReadonlySet<string>;
}

/** A request whose words are put together only for a refusal. */
class CommandRequest implements Request {
  readonly bytes: Uint8Array;
  readonly command: Command;

  constructor(bytes: Uint8Array, command: Command) {
    this.bytes = bytes;
    this.command = command;
  }

  get doing(): string {
    const { type, service } = this.command;
    return `${type.replace("-", " ")} of IPVS, ${serviceId(service)}`;
  }
}

/** The kernel's load balancer. */
export class Ipvs {
  readonly #socket: Conversation;
  readonly #family: number;

  /**
   * Finds IPVS, having its module loaded if need be. Throws {@link NoIpvs}, and SysError when there is no
   * socket to be had.
   */
  constructor(socket: Conversation = new Netlink(NETLINK_GENERIC, CHUNK)) {
    this.#socket = socket;
    this.#family = findFamily(socket);
  }

  /** The services that are in the kernel, of those in `ids`, with their destinations. Throws SysError. */
  read(ids: ReadonlySet<string>): Map<string, Entry> {
    const services: Service[] = [];
    this.#socket.dump(encodeDumpServices(this.#family), "listing the services", ({ payload }) => {
      const found = decodeService(payload);
      if (found !== undefined && ids.has(serviceId(found))) services.push(found);
    });
    return new Map(services.map((service) => [
      serviceId(service),
      { service, destinations: this.#destinations(service) },
    ]));
  }

  #destinations(service: Service): Map<string, Destination> {
    const found = new Map<string, Destination>();
    const request = encodeDumpDestinations(this.#family, service);
    this.#socket.dump(request, `listing the servers of ${serviceId(service)}`, ({ payload }) => {
      const destination = decodeDestination(payload);
      if (destination !== undefined) found.set(destinationId(destination), destination);
    });
    return found;
  }

  /** Performs commands, in order. Throws SysError when the socket itself fails. */
  perform(commands: Iterable<Command>): Outcome {
    const refusals: string[] = [];
    const stale = new Set<string>();
    // A datagram's worth at a time, so that no more than that is in memory.
    let requests: CommandRequest[] = [];
    const send = (): void => {
      for (const [i, verdict] of this.#socket.perform(requests).entries()) {
        if (verdict === undefined) continue;
        const { command } = requests[i]!;
        // Without its service a server is refused, too: that is no news.
        const id = serviceId(command.service);
        if (verdict.code !== ESRCH || !stale.has(id)) refusals.push(refusalText(command, verdict));
        stale.add(id);
      }
      requests = [];
    };
    for (const command of commands) {
      requests.push(new CommandRequest(this.#encode(command), command));
      if (requests.length === CHUNK) send();
    }
    if (requests.length > 0) send();
    return { refusals, stale };
  }

  #encode(command: Command): Uint8Array {
    const family = this.#family;
    switch (command.type) {
      case "new-service":
        return encodeNewService(family, command.service);
      case "set-service":
        return encodeSetService(family, command.service);
      case "delete-service":
        return encodeDeleteService(family, command.service);
      case "new-destination":
        return encodeNewDestination(family, command.service, command.destination);
      case "set-destination":
        return encodeSetDestination(family, command.service, command.destination);
      case "delete-destination":
        return encodeDeleteDestination(family, command.service, command.destination);
    }
  }

  /** Removes every service of the kernel; what the kernel has against it, if anything. */
  flush(): SysError | undefined {
    return this.#one(encodeFlush(this.#family), "removing every service");
  }

  /** How long idle connections are remembered, in seconds. Throws SysError. */
  timeouts(): IpvsTimeouts | undefined {
    let found: IpvsTimeouts | undefined;
    this.#socket.dump(encodeGetTimeouts(this.#family), "reading the timeouts", ({ payload }) => {
      found = decodeTimeouts(payload);
    });
    return found;
  }

  /** Sets the timeouts; 0 leaves one as it is. */
  setTimeouts(timeouts: IpvsTimeouts): SysError | undefined {
    return this.#one(encodeSetTimeouts(this.#family, timeouts), "setting the timeouts");
  }

  /** The daemons that synchronise connections with other directors. Throws SysError. */
  daemons(): SyncDaemon[] {
    const found: SyncDaemon[] = [];
    this.#socket.dump(encodeDumpDaemons(this.#family), "listing the daemons", ({ payload }) => {
      const daemon = decodeDaemon(payload);
      if (daemon !== undefined) found.push(daemon);
    });
    return found;
  }

  /** Starts a daemon. */
  startDaemon(daemon: SyncDaemon): SysError | undefined {
    const doing = `starting the ${daemon.state} sync daemon on ${daemon.link}`;
    return this.#one(encodeNewDaemon(this.#family, daemon), doing);
  }

  /** Stops a daemon. */
  stopDaemon({ state }: Pick<SyncDaemon, "state">): SysError | undefined {
    const bytes = encodeDeleteDaemon(this.#family, state);
    return this.#one(bytes, `stopping the ${state} sync daemon`);
  }

  #one(bytes: Uint8Array, doing: string): SysError | undefined {
    return this.#socket.perform([{ bytes, doing }])[0];
  }
}

/**
 * The load balancer of the network namespace at `path`, undefined being ours: whom a socket talks to is
 * settled when it is made. Throws {@link NoIpvs} and SysError.
 */
export function openIpvs(path: string | undefined): Ipvs {
  if (path === undefined) return new Ipvs();
  try {
    return inNetworkNamespace(path, () => new Ipvs());
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new NoIpvs(`Unable to set network namespace of IPVS: ${error.message}`);
  }
}

/** Nothing is in an empty table. */
export const EMPTY: Table = new Map();

function findFamily(socket: Conversation): number {
  const id = lookUp(socket);
  if (id !== undefined) return id;
  const why = loadModule();
  const second = lookUp(socket);
  if (second === undefined) throw new NoIpvs(why);
  return second;
}

function lookUp(socket: Conversation): number | undefined {
  let id: number | undefined;
  try {
    socket.dump(encodeGetFamily(IPVS_GENL_NAME), "looking for IPVS", ({ payload }) => {
      id = decodeFamily(payload)?.id;
    });
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== ENOENT) throw error;
  }
  return id;
}

/** Has the module loaded, by the program that the kernel itself would use; what it said. */
function loadModule(): string {
  let program = MODPROBE;
  try {
    program = readText(MODPROBE_SETTING).trim() || MODPROBE;
  } catch {
    // Without that setting the kernel loads nothing, but we may.
  }
  try {
    const { stderr } = Bun.spawnSync([program, MODULE], { stderr: "pipe", stdout: "ignore" });
    return stderr.toString().trim();
  } catch (error) {
    const { code = String(error) } = error as { code?: string };
    return `${program}: ${code}, loading ${MODULE}`;
  }
}
