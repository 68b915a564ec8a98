/** Conversations with the real kernel that anybody may have: dumps, questions, refusals. */

import { expect, test } from "bun:test";
import { encodeDumpAddresses } from "../src/netlink/address.ts";
import {
  decodeLink,
  encodeDumpLinks,
  encodeGetLink,
  type Link,
  RTM_NEWLINK,
  RTNLGRP_LINK,
} from "../src/netlink/link.ts";
import { encodeMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST } from "../src/netlink/message.ts";
import { SysError } from "./libc.ts";
import { Netlink, NetlinkMonitor, type Request } from "./netlink.ts";
import { closeDescriptor } from "./socket.ts";

/** A conversation that ends with the test. */
class Talk extends Netlink {
  [Symbol.dispose](): void {
    closeDescriptor(this.fd);
  }
}

const NOBODY = 0x7fffffff;
const ask = (which: string | number): Request => ({
  bytes: encodeGetLink(which),
  doing: `looking for ${which}`,
});

function dumpLinks(netlink: Netlink): Link[] {
  const links: Link[] = [];
  netlink.dump(encodeDumpLinks(), "listing the links", (message) => {
    expect(message.type).toBe(RTM_NEWLINK);
    links.push(decodeLink(message.payload)!);
  });
  return links;
}

test("a dump of the links has the loopback, once", () => {
  using netlink = new Talk();
  for (let round = 0; round < 3; round++) {
    const loopbacks = dumpLinks(netlink).filter(({ name }) => name === "lo");
    expect(loopbacks).toMatchObject([{ index: 1, name: "lo" }]);
  }
});

test("a question about a link that is there succeeds, one about no link is ENODEV", () => {
  using netlink = new Talk();
  const [found, refused] = netlink.perform([ask("lo"), ask(NOBODY)]);
  expect(found).toBeUndefined();
  expect(refused).toBeInstanceOf(SysError);
  expect(refused).toMatchObject({ call: "netlink", errno: "ENODEV", code: 19 });
  expect(refused!.message).toStartWith(
    `netlink failed with ENODEV while looking for ${NOBODY}`,
  );
});

test("the kernel's own words are passed on", () => {
  using netlink = new Talk();
  // A header that is cut short: the kernel says what it misses.
  const bytes = encodeMessage({
    type: 18,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: new Uint8Array(4),
  });
  const [refused] = netlink.perform([{ bytes, doing: "asking badly" }]);
  expect(refused!.message)
    .toMatch(/^netlink failed with EINVAL while asking badly: \w.*header/i);
});

test("no requests have no verdicts", () => {
  using netlink = new Talk();
  expect(netlink.perform([])).toEqual([]);
});

test("each of many requests gets its own verdict, in order, over several datagrams", () => {
  using netlink = new Talk();
  const requests = Array.from(
    { length: 250 },
    (_, i) => i % 50 === 7 ? ask("lo") : ask(NOBODY - i),
  );
  const verdicts = netlink.perform(requests);
  expect(verdicts).toHaveLength(250);
  for (const [i, verdict] of verdicts.entries()) {
    if (i % 50 === 7) expect([i, verdict]).toEqual([i, undefined]);
    else expect(verdict?.message).toContain(`ENODEV while looking for ${NOBODY - i}`);
  }
  // Nothing of it is left over for the next conversation.
  expect(dumpLinks(netlink).map(({ name }) => name)).toContain("lo");
});

test("requests whose length is no multiple of four go together", () => {
  using netlink = new Talk();
  const requests = ["lo", "no-a", "no-ab", "no-abc", "lo"].map((name) => {
    // By hand: our encoders pad the last attribute, IFLA_IFNAME, too.
    const text = new TextEncoder().encode(`${name}\0`);
    const payload = Uint8Array.of(...new Uint8Array(16), 4 + text.length, 0, 3, 0, ...text);
    const bytes = encodeMessage({ type: 18, flags: NLM_F_REQUEST | NLM_F_ACK, payload });
    return { bytes, doing: `looking for ${name}` };
  });
  expect(requests.map(({ bytes }) => bytes.length % 4)).toEqual([3, 1, 2, 3, 3]);
  expect(netlink.perform(requests).map((verdict) => verdict?.errno))
    .toEqual([undefined, "ENODEV", "ENODEV", "ENODEV", undefined]);
});

test("a dump the kernel refuses is an error of what we were doing", () => {
  using netlink = new Talk();
  const strange = encodeMessage({
    type: 0x7000,
    flags: NLM_F_REQUEST | NLM_F_DUMP,
    payload: new Uint8Array(16),
  });
  expect(() => netlink.dump(strange, "asking for the impossible", () => {}))
    .toThrow("netlink failed with EOPNOTSUPP while asking for the impossible");
  expect(dumpLinks(netlink).map(({ name }) => name)).toContain("lo");
});

test("a dump of addresses is one of addresses", () => {
  using netlink = new Talk();
  for (const family of [undefined, 4, 6] as const) {
    const types = new Set<number>();
    netlink.dump(encodeDumpAddresses(family), "listing addresses", ({ type }) => types.add(type));
    expect([...types].filter((type) => type !== 20)).toEqual([]);
  }
});

test("a socket that is closed is an error, not an end of patience", () => {
  const netlink = new Talk();
  closeDescriptor(netlink.fd);
  expect(() => netlink.perform([ask("lo")])).toThrow("send failed with EBADF while looking for lo");
});

test("a monitor that hears nothing has missed nothing", () => {
  const monitor = new NetlinkMonitor([RTNLGRP_LINK], 1024 * 1024);
  let heard = 0;
  expect(monitor.receive(() => heard++)).toBeTrue();
  expect(heard).toBe(0);
  monitor.close();
});
