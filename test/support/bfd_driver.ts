/**
 * A process with a loop and a BfdSpeaker, and nothing else. It takes commands as lines of JSON from
 * standard input and tells what happens as lines of JSON on standard output; the end of its input is
 * its end, without a word to its peers. Used by test/support/bfd_hosts.ts.
 */

import { writeSync } from "node:fs";
import { libc } from "../../ffi/libc.ts";
import { Memory } from "../../ffi/memory.ts";
import { realtimeUs } from "../../ffi/timer.ts";
import { Loop } from "../../src/loop.ts";
import type { BfdChange } from "../../src/vrrp/bfd_sessions.ts";
import { BfdSpeaker } from "../../src/vrrp/bfd_speaker.ts";

/** What the driver can be told. */
export type Command =
  | { readonly type: "configure"; readonly change: BfdChange }
  /** Asks how a session stands. */
  | { readonly type: "look"; readonly name: string }
  /** Stands still for so long. */
  | { readonly type: "stall"; readonly ms: number }
  /** Says farewell and ends. */
  | { readonly type: "shutdown" };

/** What it tells. */
export type Told =
  & { readonly atUs: number }
  & (
    | { readonly type: "log"; readonly level: string; readonly text: string }
    | { readonly type: "event"; readonly name: string; readonly isUp: boolean }
    | { readonly type: "look"; readonly look: ReturnType<BfdSpeaker["look"]> }
    | { readonly type: "ready" }
  );

type Untimed = Told extends infer One ? One extends Told ? Omit<One, "atUs"> : never : never;

function tell(told: Untimed): void {
  writeSync(1, `${JSON.stringify({ ...told, atUs: realtimeUs() })}\n`);
}

function main(): void {
  const loop = new Loop();
  const speaker = new BfdSpeaker({
    loop,
    log: (level, text) => tell({ type: "log", level, text }),
    onEvent: ({ name }, isUp) => tell({ type: "event", name, isUp }),
    random: Math.random,
  });
  const obey = (command: Command, now: number): void => {
    switch (command.type) {
      case "configure":
        speaker.configure(command.change, now);
        return;
      case "look":
        tell({ type: "look", look: speaker.look(command.name) });
        return;
      case "stall":
        Bun.sleepSync(command.ms);
        return;
      case "shutdown":
        speaker.shutdown(now);
        loop.stop();
        return;
    }
  };
  const input = new Memory(64 * 1024);
  let text = "";
  loop.watch(0, (now) => {
    const count = libc.read(0, input.pointer, input.bytes.length);
    if (count <= 0) {
      loop.stop();
      return;
    }
    const lines = (text + new TextDecoder().decode(input.bytes.slice(0, count))).split("\n");
    text = lines.pop()!;
    for (const line of lines) obey(JSON.parse(line) as Command, now);
  });
  tell({ type: "ready" });
  loop.run();
}

main();
