/**
 * The process connector (linux/connector.h, linux/cn_proc.h): the kernel tells whoever listens of every
 * process that begins, becomes another program, renames itself or ends. Messages are of type NLMSG_DONE and
 * hold a connector header, then the event; numbers are in host order.
 *
 * ```
 *  0        4        8        12       16       18       20
 * +--------+--------+--------+--------+--------+--------+
 * | index  | value  | seq    | ack    | length | flags  |   both 1: process events
 * +--------+--------+--------+--------+--------+--------+
 * 20       24       28                36
 * +--------+--------+--------+--------+--------
 * | what   | cpu    | timestamp, ns   | ...        processes: thread id, then process id
 * +--------+--------+--------+--------+--------
 * ```
 */

import { encodeMessage, get16, get32, type Message, NLMSG_DONE, put16, put32 } from "./message.ts";

/** The connector's index and value of process events; the index is the multicast group, too. */
export const CN_IDX_PROC = 1;
const CN_VAL_PROC = 1;
const PROC_CN_MCAST_LISTEN = 1;
const HEADER_BYTES = 20;

/** What became of a process (enum proc_cn_event, linux/cn_proc.h). */
export const PROC_EVENT_NONE = 0;
/** It has made another one, */
export const PROC_EVENT_FORK = 1;
/** has become another program, */
export const PROC_EVENT_EXEC = 2;
/** has changed its name (since Linux 3.2), */
export const PROC_EVENT_COMM = 0x200;
/** has ended. */
export const PROC_EVENT_EXIT = 0x80000000;

/** What the kernel tells; threads that are no processes are left out. */
export type ProcessEvent =
  /** The answer to somebody's wish to listen; errno 0 is yes. */
  | { readonly type: "listening"; readonly errno: number }
  | { readonly type: "fork"; readonly parent: number; readonly child: number }
  | { readonly type: "exec"; readonly pid: number }
  /** A new comm, up to 15 characters. */
  | { readonly type: "name"; readonly pid: number; readonly name: string }
  | { readonly type: "exit"; readonly pid: number };

/** The request to be told. */
export function encodeListen(): Uint8Array {
  const payload = new Uint8Array(HEADER_BYTES + 4);
  put32(payload, 0, CN_IDX_PROC);
  put32(payload, 4, CN_VAL_PROC);
  put16(payload, 16, 4);
  put32(payload, HEADER_BYTES, PROC_CN_MCAST_LISTEN);
  return encodeMessage({ type: NLMSG_DONE, flags: 0, payload });
}

/** What a message tells; undefined for other events, for threads, and for what is malformed. */
export function decodeProcessEvent(
  { payload }: Pick<Message, "payload">,
): ProcessEvent | undefined {
  const data = HEADER_BYTES + 16;
  const isEvent = payload.length >= data + 16 && get32(payload, 0) === CN_IDX_PROC &&
    get32(payload, 4) === CN_VAL_PROC && get16(payload, 16) >= 32;
  if (!isEvent) return undefined;
  const thread = get32(payload, data);
  const pid = get32(payload, data + 4);
  switch (get32(payload, HEADER_BYTES)) {
    case PROC_EVENT_NONE:
      return { type: "listening", errno: thread };
    case PROC_EVENT_FORK: {
      const child = get32(payload, data + 12);
      // Whoever has forked may be a thread; its process is what counts.
      return get32(payload, data + 8) === child ? { type: "fork", parent: pid, child } : undefined;
    }
    case PROC_EVENT_EXEC:
      return { type: "exec", pid };
    case PROC_EVENT_COMM: {
      if (thread !== pid || payload.length < data + 24) return undefined;
      const [name] = new TextDecoder().decode(payload.subarray(data + 8, data + 24)).split("\0");
      return { type: "name", pid, name: name! };
    }
    case PROC_EVENT_EXIT:
      return thread === pid ? { type: "exit", pid } : undefined;
    default:
      return undefined;
  }
}
