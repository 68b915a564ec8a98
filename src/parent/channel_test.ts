/** Frames however the stream is cut, and a role that goes on whatever its parent takes of them. */

import { expect, test } from "bun:test";
import { closeDescriptor, receiveNow, socketPair } from "../../ffi/socket.ts";
import { Memory } from "../../ffi/memory.ts";
import { prng } from "../../test/support/prng.ts";
import {
  encodeFrame,
  FrameReader,
  type FromRole,
  Outbox,
  RoleChannel,
  type ToRole,
} from "./channel.ts";

type Name = Extract<FromRole, { type: "state" }>["from"];

const log = (text: string): FromRole => ({ type: "log", level: "info", text });
const state = (instance: string, from: Name, to: Name): FromRole => ({
  type: "state",
  instance,
  from,
  to,
  priority: 100,
});

function join(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

// ---------------------------------------------------------------------------------------------
// Frames
// ---------------------------------------------------------------------------------------------

const MESSAGES: readonly FromRole[] = [
  log("Zürich → 東京 🦘"),
  { type: "configured" },
  log(""),
  { type: "crash", stack: 'a "quoted"\nline\0' },
];
const STREAM = join(MESSAGES.map(encodeFrame));

test("a frame is a little-endian length in bytes and that much JSON in UTF-8", () => {
  const bytes = encodeFrame(log("ü"));
  const body = '{"type":"log","level":"info","text":"ü"}';
  expect(bytes).toEqual(join([
    Uint8Array.of(body.length + 1, 0, 0, 0),
    new TextEncoder().encode(body),
  ]));
});

test("messages arrive whole wherever the stream is cut in two", () => {
  for (let cut = 0; cut <= STREAM.length; cut++) {
    const reader = new FrameReader<FromRole>();
    const first = reader.push(STREAM.subarray(0, cut));
    expect([cut, ...first, ...reader.push(STREAM.subarray(cut))]).toEqual([cut, ...MESSAGES]);
  }
});

test("messages arrive byte by byte, each with its last byte", () => {
  const reader = new FrameReader<FromRole>();
  const ends = MESSAGES.map((_, i) => join(MESSAGES.slice(0, i + 1).map(encodeFrame)).length);
  for (let i = 0; i < STREAM.length; i++) {
    const due = ends.indexOf(i + 1);
    expect([i, ...reader.push(STREAM.subarray(i, i + 1))])
      .toEqual([i, ...MESSAGES.slice(due < 0 ? MESSAGES.length : due, due + 1)]);
  }
});

test("several frames in one read come in order, and nothing is nothing", () => {
  const reader = new FrameReader<FromRole>();
  expect(reader.push(STREAM)).toEqual([...MESSAGES]);
  expect(reader.push(new Uint8Array(0))).toEqual([]);
  expect(reader.push(STREAM)).toEqual([...MESSAGES]);
});

test("the reader keeps no view of what it is given", () => {
  const reader = new FrameReader<FromRole>();
  const buffer = STREAM.slice(0, 10);
  reader.push(buffer);
  buffer.fill(0xff);
  expect(reader.push(STREAM.subarray(10))).toEqual([...MESSAGES]);
});

test("a length that cannot be ends the role", () => {
  for (const length of [64 * 1024 * 1024 + 1, 0x7fffffff, 0xffffffff]) {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, length, true);
    expect(() => new FrameReader<FromRole>().push(bytes))
      .toThrow(`a frame of ${length} bytes on the channel`);
  }
  const longest = Uint8Array.of(0, 0, 0, 4);
  expect(new FrameReader<FromRole>().push(longest)).toEqual([]);
});

// ---------------------------------------------------------------------------------------------
// The outbox
// ---------------------------------------------------------------------------------------------

/** A pipe that holds so many bytes until they are read. */
class Pipe {
  room = 0;
  readonly received: FromRole[] = [];
  readonly #reader = new FrameReader<FromRole>();

  readonly send = (bytes: Uint8Array): number => {
    const count = Math.min(this.room, bytes.length);
    this.room -= count;
    this.received.push(...this.#reader.push(bytes.slice(0, count)));
    return count;
  };

  /** What has arrived since the last time. */
  take(): FromRole[] {
    return this.received.splice(0);
  }
}

/** A log line whose frame has so many bytes. */
function lineOf(bytes: number): FromRole {
  return log("x".repeat(bytes - encodeFrame(log("")).length));
}

const KIB = 1024;
/** More than the outbox keeps of log lines, and more than it keeps of anything but what must arrive. */
const LOGS = 256 * KIB;
const STATES = 512 * KIB;

/** An outbox in which so many bytes wait, behind a pipe that takes nothing. */
function filled(bytes: number): { outbox: Outbox; pipe: Pipe } {
  const pipe = new Pipe();
  const outbox = new Outbox(pipe.send);
  // Crashes are always kept; the last frame makes the number exact.
  const empty = encodeFrame({ type: "crash", stack: "" }).length;
  outbox.push({ type: "crash", stack: "x".repeat(bytes - empty) });
  outbox.flush();
  return { outbox, pipe };
}

function drain(outbox: Outbox, pipe: Pipe): FromRole[] {
  pipe.room = Infinity;
  outbox.flush();
  return pipe.take();
}

test("messages leave with a flush, in order", () => {
  const pipe = new Pipe();
  pipe.room = Infinity;
  const outbox = new Outbox(pipe.send);
  expect(outbox.isWaiting).toBeFalse();
  for (const message of MESSAGES) outbox.push(message);
  expect(pipe.take()).toEqual([]);
  expect(outbox.isWaiting).toBeTrue();
  outbox.flush();
  expect(pipe.take()).toEqual([...MESSAGES]);
  expect(outbox.isWaiting).toBeFalse();
});

test("a pipe that takes a few bytes at a time gets the same stream", () => {
  for (const step of [1, 3, 7, 50]) {
    const pipe = new Pipe();
    const outbox = new Outbox(pipe.send);
    for (const message of MESSAGES) outbox.push(message);
    let turns = 0;
    while (outbox.isWaiting && turns++ < STREAM.length) {
      pipe.room = step;
      outbox.flush();
    }
    expect([step, ...pipe.take()]).toEqual([step, ...MESSAGES]);
    expect(turns).toBe(Math.ceil(STREAM.length / step));
  }
});

test("a pipe that takes what it likes, while more is said, gets the same stream", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = prng(seed);
    const pipe = new Pipe();
    const outbox = new Outbox(pipe.send);
    const said: FromRole[] = [];
    for (let turn = 0; turn < 40; turn++) {
      if (random.chance(0.7)) {
        const message = random.chance(0.5)
          ? log(`line ${turn} of ${seed}`)
          : state(random.pick(["V", "W"]), "BACKUP", "MASTER");
        said.push(message);
        outbox.push(message);
      }
      pipe.room = random.pick([0, 1, 30, 200]);
      outbox.flush();
    }
    expect([seed, ...pipe.take(), ...drain(outbox, pipe)]).toEqual([seed, ...said]);
  }
});

test("log lines beyond the limit are dropped, and how many is said once", () => {
  const { outbox, pipe } = filled(LOGS);
  outbox.push(log("the last one kept"));
  for (let i = 0; i < 5; i++) outbox.push(log("dropped"));
  outbox.push({ type: "configured" });
  outbox.push(state("V", "BACKUP", "MASTER"));
  outbox.flush();
  expect(pipe.take()).toEqual([]);
  expect(drain(outbox, pipe).slice(1)).toEqual([
    log("the last one kept"),
    { type: "configured" },
    state("V", "BACKUP", "MASTER"),
    { type: "dropped", lines: 5 },
  ]);
  outbox.push(log("and on"));
  expect(drain(outbox, pipe)).toEqual([log("and on")]);
  expect(outbox.isWaiting).toBeFalse();
});

test("log lines alone never make more wait than the limit and one line", () => {
  const pipe = new Pipe();
  const outbox = new Outbox(pipe.send);
  for (let i = 0; i < 600; i++) {
    outbox.push(lineOf(KIB));
    outbox.flush();
  }
  const lines = drain(outbox, pipe);
  expect(lines.length).toBe(257 + 1);
  expect(lines.at(-1)).toEqual({ type: "dropped", lines: 600 - 257 });
});

test("of each instance the latest state is kept, with the first one's origin", () => {
  const { outbox, pipe } = filled(STATES + 1);
  outbox.push(state("V", "BACKUP", "MASTER"));
  outbox.push(state("W", "INIT", "BACKUP"));
  outbox.push(state("V", "MASTER", "FAULT"));
  outbox.push(state("V", "FAULT", "BACKUP"));
  outbox.flush();
  expect(outbox.isWaiting).toBeTrue();
  expect(drain(outbox, pipe).slice(1)).toEqual([
    state("V", "BACKUP", "BACKUP"),
    state("W", "INIT", "BACKUP"),
  ]);
  expect(outbox.isWaiting).toBeFalse();
});

test("a group is kept apart from an instance of the same name", () => {
  const group = (from: "BACKUP" | "MASTER", to: "MASTER" | "FAULT"): FromRole => (
    { type: "group", group: "V", from, to }
  );
  const { outbox, pipe } = filled(STATES + 1);
  outbox.push(state("V", "BACKUP", "MASTER"));
  outbox.push(group("BACKUP", "MASTER"));
  outbox.push(state("V", "MASTER", "FAULT"));
  outbox.push({ type: "group", group: "V", from: "MASTER", to: "FAULT" });
  expect(drain(outbox, pipe).slice(1)).toEqual([
    state("V", "BACKUP", "FAULT"),
    group("BACKUP", "FAULT"),
  ]);
});

test("a state never overtakes one that was kept back", () => {
  const { outbox, pipe } = filled(STATES + 1);
  outbox.push(state("V", "BACKUP", "MASTER"));
  // The parent reads a little: there is room for states again, but the one kept still waits.
  pipe.room = 100 * KIB;
  outbox.flush();
  outbox.push(state("V", "MASTER", "BACKUP"));
  outbox.push(state("W", "BACKUP", "MASTER"));
  const states = drain(outbox, pipe).filter(({ type }) => type === "state");
  expect(states.filter((one) => one.type === "state" && one.instance === "V").at(-1))
    .toMatchObject({ to: "BACKUP" });
  expect(states).toContainEqual(state("W", "BACKUP", "MASTER"));
});

test("of each BFD session the latest news is kept, and nothing overtakes it", () => {
  const { outbox, pipe } = filled(STATES + 1);
  const bfd = (instance: string, isUp: boolean): FromRole => ({ type: "bfd", instance, isUp });
  outbox.push(bfd("one", false));
  outbox.push(bfd("two", false));
  outbox.push(bfd("one", true));
  // There is room again, but what was kept back still waits.
  pipe.room = 100 * KIB;
  outbox.push(bfd("two", true));
  const news = drain(outbox, pipe).filter(({ type }) => type === "bfd");
  expect(news).toEqual([bfd("one", true), bfd("two", true)]);
  expect(outbox.isWaiting).toBeFalse();
});

test("what must arrive is kept however much waits", () => {
  const { outbox, pipe } = filled(STATES + 1);
  outbox.push({ type: "configured" });
  outbox.push({ type: "crash", stack: "why" });
  expect(drain(outbox, pipe).slice(1)).toEqual([
    { type: "configured" },
    { type: "crash", stack: "why" },
  ]);
});

test("a parent that is gone takes everything: nothing waits any more", () => {
  let calls = 0;
  const outbox = new Outbox(() => (calls++, -1));
  const fill = (): void => {
    for (let i = 0; i < 700; i++) outbox.push(lineOf(KIB));
    outbox.push({ type: "crash", stack: "x".repeat(STATES) });
    outbox.push(state("V", "BACKUP", "MASTER"));
  };
  fill();
  expect(calls).toBe(0);
  outbox.flush();
  expect(outbox.isWaiting).toBeFalse();
  fill();
  outbox.flush();
  expect(outbox.isWaiting).toBeFalse();
  expect(calls).toBeLessThan(10);
});

// ---------------------------------------------------------------------------------------------
// The role's end
// ---------------------------------------------------------------------------------------------

test("the role hears its parent out, and that it is gone", () => {
  const [ours, theirs] = socketPair();
  const channel = new RoleChannel(ours);
  const parent = new RoleChannel(theirs);
  const heard: ToRole[] = [];
  const hear = (): boolean => channel.receive((message) => heard.push(message));
  expect(hear()).toBeTrue();
  expect(heard).toEqual([]);
  // Longer than one read, so that a frame is put together from several.
  const path = `/${"x".repeat(100_000)}`;
  const messages: ToRole[] = [{ type: "settle" }, { type: "pid-file", path }];
  for (const message of messages) parent.outbox.push(message as unknown as FromRole);
  for (let turn = 0; !parent.flush() && turn < 100; turn++) expect(hear()).toBeTrue();
  closeDescriptor(theirs);
  expect(hear()).toBeFalse();
  expect(heard).toEqual(messages);
  // Nobody is there to read it, and nothing comes of that.
  channel.outbox.push(log("anybody?"));
  expect(channel.flush()).toBeTrue();
  closeDescriptor(ours);
});

test("a role whose parent does not read goes on, and says later what was lost", () => {
  const [ours, theirs] = socketPair();
  const channel = new RoleChannel(ours);
  for (let i = 0; i < 2000; i++) {
    channel.outbox.push(lineOf(KIB));
    channel.flush();
  }
  expect(channel.flush()).toBeFalse();
  const reader = new FrameReader<FromRole>();
  const memory = new Memory(64 * KIB);
  const heard: FromRole[] = [];
  for (let turn = 0; turn < 1000; turn++) {
    const count = receiveNow(theirs, memory);
    if (count > 0) heard.push(...reader.push(memory.bytes.slice(0, count)));
    else if (channel.flush()) break;
  }
  for (let count = 1; count > 0;) {
    count = receiveNow(theirs, memory);
    if (count > 0) heard.push(...reader.push(memory.bytes.slice(0, count)));
  }
  const lost = heard.at(-1);
  if (lost?.type !== "dropped") throw new Error(`the last message is ${JSON.stringify(lost)}`);
  expect(heard.length - 1 + lost.lines).toBe(2000);
  closeDescriptor(ours);
  closeDescriptor(theirs);
});

test("a long message in small pieces, and what comes behind it", () => {
  const long = log("x".repeat(300_000));
  const bytes = join([encodeFrame(long), encodeFrame(log("short"))]);
  for (const size of [1000, 65_536, bytes.length]) {
    const reader = new FrameReader<FromRole>();
    const heard: FromRole[] = [];
    const buffer = new Uint8Array(size);
    for (let at = 0; at < bytes.length; at += size) {
      const piece = bytes.subarray(at, at + size);
      buffer.set(piece);
      heard.push(...reader.push(buffer.subarray(0, piece.length)));
    }
    expect([size, ...heard]).toEqual([size, long, log("short")]);
  }
});

test("many messages leave with one call", () => {
  const calls: number[] = [];
  const outbox = new Outbox((bytes) => calls.push(bytes.length) && bytes.length);
  for (let i = 0; i < 1000; i++) outbox.push(log(`line ${i}`));
  outbox.flush();
  expect(calls.length).toBe(1);
});
