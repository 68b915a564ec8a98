/**
 * A take-over and a farewell with a copy of an instance, of which nothing reaches the network. The first run
 * of code is slow, and must not be when it matters.
 */

import { deafPort } from "./ports.ts";
import type { Running } from "./reception.ts";
import type { InstanceEvent } from "./repair.ts";
import { startRunning } from "./running.ts";
import { deadline } from "./timers.ts";

/** Hands every event of a life to `dispatch`, with a copy of `model` that cannot be heard; the copy. */
export function rehearseLife(
  model: Running,
  dispatch: (actor: Running, event: InstanceEvent, now: number) => void,
  now: number,
): Running {
  const { key, port, router } = model;
  // A name of its own: nothing that is queued for the model may be taken back.
  const actor: Running = startRunning(`${key} rehearsal`, -1, model, () => {});
  actor.port = port && deafPort(port);
  actor.router = router;
  dispatch(actor, { type: "startup" }, now);
  for (let turn = 0; turn < 2; turn++) {
    dispatch(actor, { type: "timer" }, deadline(router, actor.state));
  }
  dispatch(actor, { type: "shutdown" }, now);
  return actor;
}
