/** An instance at run time: its router, its counters, its faults. */

import { expect, test } from "bun:test";
import { instanceWith } from "../../test/support/instances.ts";
import { parseAddress } from "../lib/address.ts";
import { explainFault, freshCounters, sourceOf, virtualRouter } from "./instance.ts";

const bytes = (text: string): Uint8Array => parseAddress(text)!;

test("fresh counters are all zero, and new each time", () => {
  expect(new Set(Object.values(freshCounters()))).toEqual(new Set([0]));
  expect(freshCounters()).not.toBe(freshCounters());
});

test("the router of an instance is its settings in the machine's words", () => {
  const instance = instanceWith({
    version: 3,
    state: "MASTER",
    priority: 200,
    advert_int: 10_000,
    nopreempt: true,
    preempt_delay: 7,
    garp_master_delay: 1,
    garp_master_repeat: 2,
    garp_master_refresh: 3,
    garp_master_refresh_repeat: 4,
    garp_lower_prio_delay: 5,
    garp_lower_prio_repeat: 6,
  });
  const address = bytes("192.0.2.1");
  expect(virtualRouter(instance, address)).toEqual({
    version: 3,
    priority: 200,
    advertisementIntervalUs: 10_000,
    lane: 0,
    downTimerAdverts: 3,
    preempt: false,
    preemptDelayUs: 7,
    startsAsMaster: true,
    lowerPriorityNoAdvert: false,
    higherPrioritySendAdvert: false,
    timerExpiredPriority: undefined,
    address,
    garp: {
      delayUs: 1,
      repeat: 2,
      refreshUs: 3,
      refreshRepeat: 4,
      lowerPriorityDelayUs: 5,
      lowerPriorityRepeat: 6,
    },
  });
  expect(virtualRouter(instanceWith(), address)).toMatchObject({
    version: 2,
    preempt: true,
    startsAsMaster: false,
  });
});

test("the VRIDs of a link are spread over all lanes", () => {
  const lanes = Array.from(
    { length: 255 },
    (_, i) => virtualRouter(instanceWith({ virtual_router_id: i + 1 }), bytes("192.0.2.1")).lane,
  );
  expect([...new Set(lanes)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  for (let lane = 0; lane < 8; lane++) {
    expect(lanes.filter((one) => one === lane).length).toBeWithin(31, 33);
  }
});

test("options of the machine, and what strict_mode makes of them", () => {
  const address = bytes("192.0.2.1");
  const options = {
    down_timer_adverts: 7,
    lower_prio_no_advert: false,
    higher_prio_send_advert: true,
    preempt_delay: 5,
    timer_expired_backup: 9,
    garp_lower_prio_delay: 5,
    garp_lower_prio_repeat: 6,
  };
  expect(virtualRouter(instanceWith(options), address)).toMatchObject({
    downTimerAdverts: 7,
    lowerPriorityNoAdvert: false,
    higherPrioritySendAdvert: true,
    preemptDelayUs: 5,
    timerExpiredPriority: 9,
  });
  const strict = instanceWith({ ...options, strict_mode: true, priority: 255 });
  expect(virtualRouter(strict, address)).toMatchObject({
    downTimerAdverts: 3,
    lowerPriorityNoAdvert: true,
    higherPrioritySendAdvert: false,
    preemptDelayUs: 0,
    startsAsMaster: true,
    garp: { lowerPriorityRepeat: 0, lowerPriorityDelayUs: 0 },
  });
  const lower = instanceWith({ strict_mode: true, state: "MASTER" });
  expect(virtualRouter(lower, address).startsAsMaster).toBe(false);
});

test("a fault in words", () => {
  const instance = instanceWith({ family: 6 });
  expect(explainFault("no-link", instance)).toBe("interface eth0 does not exist");
  expect(explainFault("link-down", instance)).toBe("interface eth0 is down");
  expect(explainFault("no-address", instance))
    .toBe("interface eth0 has no IPv6 address to send from");
  expect(explainFault("no-peer", instance)).toBe("no unicast peer is left");
  const unfit = instanceWith({ configuration_fault: "it has no address" });
  expect(explainFault("configuration", unfit)).toBe("it has no address");
  const bound = instanceWith({ mcast_src_ip: "192.0.2.1" });
  expect(explainFault("no-source", bound))
    .toBe("no interface has the source address 192.0.2.1");
  expect(sourceOf(instanceWith({ mcast_src_ip: "192.0.2.1", unicast_src_ip: "192.0.2.2" })))
    .toBe("192.0.2.2");
});
