/** Delays within the patience of peers, and which links are asked for their carrier. */

import { expect, test } from "bun:test";
import { configWith, instanceWith } from "../../test/support/instances.ts";
import { linkWords } from "./link_words.ts";

test("nothing said is nothing to send", () => {
  expect(linkWords(configWith([instanceWith()]))).toEqual({});
});

test("a delay ends before the peers of any instance on the link lose patience", () => {
  const config = configWith([
    instanceWith({ advert_int: 1_000_000 }),
    instanceWith({ name: "W", advert_int: 100_000, down_timer_adverts: 5 }),
    instanceWith({ name: "X", advert_int: 10_000, interface: "eth9" }),
  ]);
  const delay = { interface: "eth0", down: 255_000_000, up: 200_000 };
  const other = { interface: "eth1", down: 255_000_000, up: 0 };
  expect(linkWords({ ...config, interface_up_down_delays: [delay, other] })).toEqual({
    up_down_delays: [{ ...delay, down: 399_000 }, other],
  });
});

test("links are asked by name, for one instance, or for all", () => {
  const config = configWith([
    instanceWith({ linkbeat_use_polling: true }),
    instanceWith({
      name: "W",
      interface: "eth1",
      track_interface: [{ name: "eth2", reverse: false }],
    }),
  ]);
  const named = [{ interface: "eth0", type: "MII" as const }];
  expect(linkWords(config)).toEqual({ linkbeat: [{ interface: "eth0" }] });
  expect(linkWords({ ...config, linkbeat_interfaces: named })).toEqual({ linkbeat: named });
  expect(linkWords({ ...config, daemon: { linkbeat_use_polling: true } })).toEqual({
    linkbeat: ["eth0", "eth1", "eth2"].map((name) => ({ interface: name })),
  });
});
