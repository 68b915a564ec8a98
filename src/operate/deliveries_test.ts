/** Order, patience and the end of it; time is virtual, deliveries end when the test says so. */

import { expect, test } from "bun:test";
import { VirtualClock } from "../../test/support/virtual_clock.ts";
import { Deliveries, type Outcome } from "./deliveries.ts";

class Place {
  readonly clock = new VirtualClock();
  /** What was tried, and when, in seconds. */
  readonly tried: string[] = [];
  readonly log: string[] = [];
  readonly done: string[] = [];
  #answer: (outcome: Outcome) => void = () => {};
  readonly deliveries = new Deliveries<string>({
    deliver: (item) => {
      this.tried.push(`${item} ${this.clock.now() / 1_000_000}`);
      return new Promise((resolve) => {
        this.#answer = resolve;
      });
    },
    after: (ms, fire) => this.clock.after(ms * 1000, fire),
    failed: (item, why, isFinal) => this.log.push(`${item} ${why}${isFinal ? "!" : ""}`),
    done: (item) => this.done.push(item),
  });

  add(...items: readonly string[]): void {
    for (const item of items) this.deliveries.add(item);
  }

  async answer(outcome: Outcome): Promise<void> {
    this.#answer(outcome);
    for (let i = 0; i < 5; i++) await Promise.resolve();
  }

  async pass(seconds: number): Promise<void> {
    this.clock.pass(seconds * 1_000_000);
    for (let i = 0; i < 5; i++) await Promise.resolve();
  }
}

const BUSY: Outcome = { retry: "busy" };

test("one at a time, in order", async () => {
  const place = new Place();
  place.add("a", "b", "c");
  expect(place.tried).toEqual(["a 0"]);
  await place.answer("delivered");
  await place.answer("delivered");
  expect(place.tried).toEqual(["a 0", "b 0", "c 0"]);
  await place.answer("delivered");
  place.add("d");
  expect(place.tried.at(-1)).toBe("d 0");
  expect(place.done).toEqual(["a", "b", "c"]);
  expect(place.log).toEqual([]);
});

test("a pause doubles up to a minute, the rest waits, and the log is told once", async () => {
  const place = new Place();
  place.add("a", "b");
  for (const seconds of [1, 2, 4, 8, 16, 32, 60]) {
    await place.answer(BUSY);
    await place.pass(seconds - 0.001);
    const before = place.tried.length;
    place.add("c");
    await place.pass(0.001);
    expect(place.tried).toHaveLength(before + 1);
  }
  expect(place.tried.every((one) => one.startsWith("a "))).toBeTrue();
  expect(place.log).toEqual(["a busy"]);
  await place.answer("delivered");
  expect(place.tried.at(-1)).toStartWith("b ");
  // What comes next has patience of its own.
  await place.answer(BUSY);
  await place.pass(1);
  expect(place.tried.at(-1)).toStartWith("b ");
  expect(place.log).toEqual(["a busy", "b busy"]);
});

test("what fails too often is given up, what is refused at once", async () => {
  const place = new Place();
  place.add("a", "b");
  for (let i = 0; i < 15; i++) {
    await place.answer(BUSY);
    if (i < 14) await place.pass(60);
  }
  expect(place.done).toEqual(["a"]);
  await place.answer({ refused: "no such user" });
  expect(place.done).toEqual(["a", "b"]);
  expect(place.log).toEqual(["a busy", "a busy!", "b no such user!"]);
});

test("a thousand wait, then the oldest make room", async () => {
  const place = new Place();
  for (let i = 0; i < 1002; i++) place.add(`${i}`);
  expect(place.done).toEqual(["1", "2"]);
  await place.answer("delivered");
  expect(place.tried).toEqual(["0 0", "3 0"]);
});

test("at the end pauses are over, and everything is tried once more", async () => {
  const place = new Place();
  place.add("a", "b");
  await place.answer(BUSY);
  let isOver = false;
  void place.deliveries.finish().then(() => {
    isOver = true;
  });
  expect(place.tried).toEqual(["a 0", "a 0"]);
  await place.answer(BUSY);
  expect(place.tried.at(-1)).toBe("b 0");
  expect(isOver).toBeFalse();
  await place.answer("delivered");
  expect(isOver).toBeTrue();
  expect(place.done).toEqual(["a", "b"]);
  await place.pass(100);
  expect(place.tried).toHaveLength(3);
  await new Place().deliveries.finish();
});
