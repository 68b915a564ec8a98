/**
 * Processes that instances track, as the kernel's process connector tells of them. /proc is read at the
 * start, and again when events were lost. Where the kernel tells us nothing (a container with process ids
 * of its own), /proc is read every second instead. Loaded only when a process is tracked.
 */

import { readdirSync, readFileSync } from "node:fs";
import { NETLINK_CONNECTOR } from "../../ffi/constants.ts";
import type { BpfInstruction } from "../../ffi/layout.ts";
import { NetlinkMonitor } from "../../ffi/netlink.ts";
import { FIRST_NETWORK_NAMESPACE, inNetworkNamespace } from "../../ffi/process.ts";
import { attachFilter } from "../../ffi/socket.ts";
import type { TrackProcess } from "../config/track.ts";
import type { LogLevel } from "../lib/log.ts";
import type { ReceiveBuffer } from "../lib/receive_buffer.ts";
import { type Message, messages } from "../netlink/message.ts";
import {
  CN_IDX_PROC,
  decodeProcessEvent,
  encodeListen,
  PROC_EVENT_COMM,
  PROC_EVENT_EXEC,
  PROC_EVENT_EXIT,
  PROC_EVENT_FORK,
  PROC_EVENT_NONE,
} from "../netlink/process_event.ts";
import type { TrackResult } from "../vrrp/tracking.ts";
import { ProcessChecks } from "./process_checks.ts";
import type { Clock } from "./script_checks.ts";
import { Stream } from "./stream.ts";

/** Some ten thousand events may wait while we are busy; the memory is only used when they do. */
const BUFFER_BYTES = 8 * 1024 * 1024;
/** How long the kernel may take to say that it will tell us, in milliseconds. */
const CONFIRM_MS = 1000;
/** From scan to scan when it does not. */
const POLL_MS = 1000;

/** What the watch needs from its owner. */
export interface ProcessWatchOwner {
  readonly clock: Clock;
  say(level: LogLevel, text: string): void;
  tell(result: TrackResult): void;
}

/** The processes that somebody tracks. */
export class ProcessWatch {
  readonly #say: ProcessWatchOwner["say"];
  readonly #checks: ProcessChecks;
  #monitor: NetlinkMonitor | undefined;
  #stream: Stream | undefined;
  #buffer: ReceiveBuffer | undefined;
  #isConfirmed = false;
  #isStopped = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ clock, say, tell }: ProcessWatchOwner) {
    this.#say = say;
    this.#checks = new ProcessChecks({ clock, say, tell, nameOf, commandLineOf });
    this.#listen();
  }

  /** From now on these are watched, and so much of what happens may wait; undefined is what we think right. */
  configure(processes: readonly TrackProcess[], buffer?: ReceiveBuffer): void {
    this.#buffer = buffer;
    this.#resize();
    if (this.#checks.configure(processes)) this.#checks.scan(pids());
  }

  /** What is known so far. */
  get results(): TrackResult[] {
    return this.#checks.results;
  }

  /** Watches nothing any more. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#checks.stop();
    this.#stream?.end();
  }

  /** What happens between this and the scan that has to follow waits in the socket. */
  #listen(): void {
    this.#isConfirmed = false;
    try {
      const open = (): NetlinkMonitor =>
        new NetlinkMonitor([CN_IDX_PROC], BUFFER_BYTES, NETLINK_CONNECTOR);
      // The connector is only there; a container may not have the right to go there.
      const monitor = inNetworkNamespace(FIRST_NETWORK_NAMESPACE, open, true);
      attachFilter(monitor.fd, NO_THREADS);
      monitor.send(encodeListen(), "asking for process events");
      this.#monitor = monitor;
      this.#resize();
      this.#stream = new Stream(monitor.fd, {
        data: (bytes) => this.#receive(monitor, bytes),
        close: () => this.#lost(monitor),
      });
      this.#timer = setTimeout(() => this.#confirm(), CONFIRM_MS);
    } catch (error) {
      this.#poll(String(error));
    }
  }

  #resize(): void {
    try {
      this.#monitor?.resize(this.#buffer);
    } catch (error) {
      this.#say("warning", String(error));
    }
  }

  #confirm(): void {
    if (!this.#isConfirmed) this.#poll("the kernel does not answer");
  }

  #poll(why: string): void {
    const text = `Process events are not available (${why}), looking for tracked processes every ` +
      `${POLL_MS / 1000} s instead`;
    this.#say("warning", text);
    const monitor = this.#monitor;
    this.#monitor = undefined;
    if (monitor !== undefined) this.#stream?.end();
    this.#timer = setInterval(() => this.#checks.scan(pids()), POLL_MS);
  }

  #receive(monitor: NetlinkMonitor, first: Uint8Array): void {
    for (const message of messages(first)) this.#hear(message);
    // The loop hands out one at a time; what else is there is taken now.
    if (!monitor.receive((message) => this.#hear(message))) this.#rescan();
  }

  #hear(message: Message): void {
    const event = decodeProcessEvent(message);
    if (event === undefined) return;
    if (event.type === "listening" && event.errno === 0) this.#isConfirmed = true;
    else this.#checks.hear(event);
  }

  #rescan(): void {
    this.#say("info", "Process events were lost, looking at all processes again");
    this.#checks.scan(pids());
  }

  /** The loop closes a socket that has lost events. */
  #lost(monitor: NetlinkMonitor): void {
    if (this.#monitor !== monitor || this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#listen();
    this.#rescan();
  }
}

// linux/filter.h: load a word, compare with a constant or X, store, return.
const LD_W = 0x20;
const JEQ_K = 0x15;
const JEQ_X = 0x1d;
const TAX = 0x07;
const RET = 0x06;
const EVERYTHING = 0xffffffff;

/** A number as the filter sees it, which takes words for numbers of the network. */
function swapped(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value, true);
  return view.getUint32(0, false);
}

/**
 * Lets through the events of processes that are of use; those of threads would wake us for nothing. Offsets
 * count from the message's header: the event at 36, its data at 52.
 */
const NO_THREADS: readonly BpfInstruction[] = [
  [LD_W, 0, 0, 36],
  [JEQ_K, 12, 0, swapped(PROC_EVENT_NONE)],
  [JEQ_K, 11, 0, swapped(PROC_EVENT_EXEC)],
  [JEQ_K, 6, 0, swapped(PROC_EVENT_COMM)],
  [JEQ_K, 5, 0, swapped(PROC_EVENT_EXIT)],
  [JEQ_K, 0, 9, swapped(PROC_EVENT_FORK)],
  [LD_W, 0, 0, 60], // the child's thread
  [TAX, 0, 0, 0],
  [LD_W, 0, 0, 64], // and its process
  [JEQ_X, 4, 5, 0],
  [LD_W, 0, 0, 52], // the thread
  [TAX, 0, 0, 0],
  [LD_W, 0, 0, 56], // and its process
  [JEQ_X, 0, 1, 0],
  [RET, 0, 0, EVERYTHING],
  [RET, 0, 0, 0],
];

/** All processes there are. */
function pids(): number[] {
  return readdirSync("/proc").map(Number).filter((pid) => pid > 0);
}

function nameOf(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`);
  // The name may hold brackets itself; the state is behind the last one.
  const end = stat?.lastIndexOf(")") ?? -1;
  if (stat === undefined || end < 0 || "ZX".includes(stat[end + 2]!)) return undefined;
  return stat.slice(stat.indexOf("(") + 1, end);
}

function commandLineOf(pid: number): string | undefined {
  return read(`/proc/${pid}/cmdline`);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
