/** What an instance starts with, and what a reload leaves of it. */

import { expect, test } from "bun:test";
import { instanceWith, virtualAddress } from "../../test/support/instances.ts";
import type { AuthHmac, VrrpInstance } from "../config/vrrp.ts";
import { parseAddress } from "../lib/address.ts";
import type { Placed } from "./instance.ts";
import { receiveBytes, reconfigure, type RunningInstance, startRunning } from "./running.ts";

const GROUP = parseAddress("224.0.0.18");
const PEER = { unicast_peer: [{ address: "192.0.2.9" }] };

const placed = (rest: Partial<VrrpInstance> = {}): Placed => ({
  instance: instanceWith(rest),
  vmac: undefined,
});
const start = (rest: Partial<VrrpInstance>): RunningInstance<unknown, unknown> =>
  startRunning("key", 0, placed(rest), () => {});

test("how checksums are made, and whether there is something to learn", () => {
  const table: [Partial<VrrpInstance>, string, boolean, boolean][] = [
    [{}, "pseudo", true, false],
    [{ version: 3 }, "pseudo", false, false],
    [{ version: 3, family: 6, mcast_group: "ff02::12" }, "pseudo", true, false],
    [{ version: 3, v3_checksum_as_v2: true }, "message", true, false],
    [{ version: 3, ...PEER }, "pseudo", false, true],
    [{ version: 3, ...PEER, old_unicast_checksum: "never" }, "pseudo", false, false],
    [{ version: 3, ...PEER, old_unicast_checksum: "always" }, "group", true, true],
    [{ ...PEER, old_unicast_checksum: "always" }, "pseudo", true, false],
  ];
  for (const [settings, style, knowsStyle, isOldAccepted] of table) {
    const { oldGroup, ...running } = start(settings);
    expect(running).toMatchObject({ style, knowsStyle });
    expect(oldGroup).toEqual(isOldAccepted ? GROUP : undefined);
  }
});

test("a reload keeps what a peer has taught, unless it may not be", () => {
  const running = start({ version: 3, ...PEER });
  running.style = "group";
  running.knowsStyle = true;
  reconfigure(running, placed({ version: 3, ...PEER, priority: 50 }));
  expect<string>(running.style).toBe("group");
  reconfigure(running, placed({ version: 3, ...PEER, old_unicast_checksum: "never" }));
  expect<string>(running.style).toBe("pseudo");
});

test("a reload keeps sequence numbers, and forgets packets and keys", () => {
  const hmac: AuthHmac = {
    keys: [{ id: 1, key: "aa".repeat(32) }],
    active_key: 1,
    time_window: 5_000_000,
    anti_replay: "time",
    mode: "enforce",
  };
  const running = start({ auth_hmac: hmac });
  running.auth!.stamps.sent = 77n;
  running.packets = [];
  running.farewell = [];
  const keys = [{ id: 2, key: "bb".repeat(32) }];
  reconfigure(running, placed({ auth_hmac: { ...hmac, keys, active_key: 2 } }));
  expect(running.auth).toMatchObject({ stamps: { sent: 77n } });
  expect([...running.auth!.keys.keys()]).toEqual([2]);
  expect([running.packets, running.farewell]).toEqual([undefined, undefined]);
  reconfigure(running, placed());
  expect(running.auth).toBeUndefined();
});

test("receive buffers: the instance's own, a policy's, or the system's", () => {
  const one = instanceWith({ virtual_ipaddress: [virtualAddress("192.0.2.1")] });
  const sized = { ...one, kernel_rx_buf_size: 9 };
  expect(receiveBytes(one, {}, 1500)).toBe(0);
  expect(receiveBytes(sized, { vrrp_rx_bufs_policy: "MTU" }, 1500)).toBe(9);
  expect(receiveBytes(one, { vrrp_rx_bufs_policy: 4096 }, 1500)).toBe(4096);
  const mtu = receiveBytes(one, { vrrp_rx_bufs_policy: "MTU" }, 1500);
  const advert = receiveBytes(one, { vrrp_rx_bufs_policy: "ADVERT" }, 1500);
  expect(mtu).toBeGreaterThan(3 * 1500);
  expect(advert).toBeLessThan(mtu);
  expect(receiveBytes(one, { vrrp_rx_bufs_policy: "MTU", vrrp_rx_bufs_multiplier: 6 }, 1500))
    .toBe(2 * mtu);
});
