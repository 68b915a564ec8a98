/** Process events as a real kernel told them, and the request as keepalived sends it. */

import { expect, test } from "bun:test";
import golden from "../../test/golden/netlink/processes.json";
import { mutants } from "../../test/support/mutants.ts";
import { messages } from "./message.ts";
import { decodeProcessEvent, encodeListen, type ProcessEvent } from "./process_event.ts";

function decode(datagram: Uint8Array): (ProcessEvent | undefined)[] {
  return [...messages(datagram)].map(decodeProcessEvent);
}

for (const { title, datagram, event } of golden.events) {
  test(`events: ${title}`, () => {
    expect(decode(Uint8Array.fromHex(datagram))).toEqual([(event ?? undefined) as ProcessEvent]);
  });
}

test("the request to listen", () => {
  expect(encodeListen().toHex()).toBe(golden.request);
});

test("malformed events are no events", () => {
  for (const { datagram } of golden.events) {
    const bytes = Uint8Array.fromHex(datagram);
    for (const mutant of mutants(bytes)) expect(() => decode(mutant)).not.toThrow();
    for (let length = 0; length < 60; length++) {
      const [short] = messages(bytes.subarray(0, 16 + length));
      expect(short === undefined ? undefined : decodeProcessEvent(short)).toBeUndefined();
      const payload = bytes.subarray(16, 16 + Math.min(length, 51));
      expect(decodeProcessEvent({ payload })).toBeUndefined();
    }
  }
});
