/** What only root may ask of the kernel: real time, locked memory, namespaces, links and addresses. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { inChild } from "../support/child.ts";
import { Network } from "../support/namespaces.ts";

setDefaultTimeout(60_000);

const IMPORT = `
  import { readdirSync, readFileSync, readlinkSync } from "node:fs";
  import * as own from "./ffi/process.ts";
  import { Netlink, NetlinkMonitor } from "./ffi/netlink.ts";
  import { bindToDevice, openSocket } from "./ffi/socket.ts";
  import * as address from "./src/netlink/address.ts";
  import * as link from "./src/netlink/link.ts";
  import { NLM_F_CREATE, NLM_F_EXCL } from "./src/netlink/message.ts";
  const out: unknown[] = [];
  const words = (thread: number | string): string[] =>
    readFileSync("/proc/self/task/" + thread + "/stat", "utf8").split(") ")[1]!.split(" ");
  const kib = (field: string): number =>
    Number(new RegExp(field + ":\\\\s*(\\\\d+)").exec(readFileSync("/proc/self/status", "utf8"))![1]);
`;

/** What `code` has put into `out`, in a process of its own on a host. */
function outOf(network: Network, code: string): unknown[] {
  const whole = `${IMPORT}\n${code}\nprocess.stdout.write(JSON.stringify(out));`;
  return JSON.parse(inChild(whole, network.enter("a")));
}

test("real time is round robin, with the priority asked for", () => {
  using network = new Network(["a"]);
  const [before, after] = outOf(
    network,
    `
      const scheduling = (): number[] => words(process.pid).slice(37, 39).map(Number);
      out.push(scheduling());
      own.setRoundRobin(5);
      out.push(scheduling());
    `,
  );
  expect([before, after]).toEqual([[0, 0], [5, 2]]);
});

test("a nice value below that of others", () => {
  using network = new Network(["a"]);
  expect(outOf(network, `own.setShare(-5, 100); out.push(words(process.pid)[16]);`)).toEqual([
    "-5",
  ]);
});

test("memory is locked as it is touched, and the process works on", () => {
  using network = new Network(["a"]);
  const [before, after, more, mapped, sum] = outOf(
    network,
    `
      out.push(kib("VmLck"));
      own.lockMemory();
      out.push(kib("VmLck"));
      const blocks = Array.from({ length: 32 }, (_, i) => new Uint8Array(1 << 20).fill(i));
      Bun.gc(true);
      out.push(kib("VmRSS"), kib("VmSize"), blocks.reduce((sum, block) => sum + block[99]!, 0));
    `,
  ) as number[];
  expect(before).toBe(0);
  expect(after).toBeGreaterThan(0);
  // Of gigabytes of address space only what is in use is there.
  expect(more).toBeLessThan(mapped! / 4);
  expect(sum).toBe(31 * 16);
});

test("a thread goes to a namespace and back", () => {
  using network = new Network(["a", "b"]);
  const path = `/run/netns/${network.netns("b")}`;
  network.run("b", "ip", "link", "add", "only-b", "type", "veth", "peer", "name", "far");
  expect(outOf(
    network,
    `
      const look = (): boolean[] => ["lo", "eth0", "only-b"].map(own.linkExists);
      const home = own.openOwnNamespace();
      out.push(look());
      own.enterNetworkNamespace("${path}");
      out.push(look());
      const empty = own.newNetworkNamespace();
      out.push(look());
      own.enterNamespaceOf(home);
      out.push(look());
      own.enterNamespaceOf(empty);
      out.push(look());
    `,
  )).toEqual([
    [true, true, false],
    [true, true, true],
    [true, false, false],
    [true, true, false],
    [true, false, false],
  ]);
});

test("what is refused says what we were doing and what the kernel thinks of it", () => {
  using network = new Network(["a"]);
  const said = outOf(
    network,
    `
      const netlink = new Netlink();
      const one = { index: 1, address: Uint8Array.of(10, 9, 0, 1), prefixLength: 32 };
      const add = { bytes: address.encodeNewAddress(one, NLM_F_CREATE | NLM_F_EXCL), doing: "adding it" };
      const remove = { bytes: address.encodeDeleteAddress(one), doing: "removing it" };
      const drop = { bytes: link.encodeDeleteLink(0x7fffffff), doing: "removing a link" };
      for (const verdict of netlink.perform([add, add, remove, remove, drop, add])) {
        out.push(verdict?.message ?? "done");
      }
      try {
        bindToDevice(openSocket(2, 2, 0, "testing"), "no-such-link");
      } catch (error) {
        out.push((error as Error).message);
      }
    `,
  ) as string[];
  const [added, again, removed, gone, drop, anew, bind] = said;
  expect([added, removed, anew]).toEqual(["done", "done", "done"]);
  expect(again).toStartWith("netlink failed with EEXIST while adding it");
  expect(gone).toStartWith("netlink failed with EADDRNOTAVAIL while removing it");
  expect(drop).toStartWith("netlink failed with ENODEV while removing a link");
  expect(bind).toBe("setsockopt failed with ENODEV while setting option 25 of level 1");
});

test("300 addresses are added by one call, dumped, and removed by another", () => {
  using network = new Network(["a"]);
  expect(outOf(
    network,
    `
      const netlink = new Netlink();
      const all = Array.from({ length: 300 }, (_, i) => ({
        index: 1,
        address: Uint8Array.of(10, 9, i >> 8, i & 255),
        prefixLength: 32,
      }));
      const count = (): number => {
        let found = 0;
        netlink.dump(address.encodeDumpAddresses(4), "counting", ({ payload }) => {
          if (address.decodeAddressMessage(payload)?.address[1] === 9) found++;
        });
        return found;
      };
      const perform = (encode: (one: (typeof all)[number]) => Uint8Array): void => {
        const requests = all.map((one) => ({ bytes: encode(one), doing: "testing" }));
        out.push(netlink.perform(requests).filter((verdict) => verdict !== undefined).length);
        out.push(count());
      };
      perform((one) => address.encodeNewAddress(one));
      perform((one) => address.encodeDeleteAddress(one));
    `,
  )).toEqual([0, 300, 0, 0]);
});

test("a monitor hears its groups, and says when it has missed something", () => {
  using network = new Network(["a"]);
  const [heard, complete, missed, after] = outOf(
    network,
    `
      const netlink = new Netlink();
      const perform = (bytes: Uint8Array): void => {
        const [refused] = netlink.perform([{ bytes, doing: "testing" }]);
        if (refused !== undefined) throw refused;
      };
      const groups = [link.RTNLGRP_LINK, address.RTNLGRP_IPV4_IFADDR];
      const monitor = new NetlinkMonitor(groups, 1024 * 1024);
      const small = new NetlinkMonitor([link.RTNLGRP_LINK], 1);
      perform(link.encodeNewLink({ name: "br9", kind: "bridge" }));
      let index = 0;
      const heard: string[] = [];
      const listen = (): boolean => monitor.receive(({ type, payload }) => {
        const found = link.decodeLink(payload);
        if (type === link.RTM_NEWLINK) index = found?.index ?? index;
        heard.push(type + " " + (found?.name ?? address.decodeAddressMessage(payload)?.address));
      });
      listen();
      perform(address.encodeNewAddress({ index, address: Uint8Array.of(10, 9, 0, 1), prefixLength: 32 }));
      for (let i = 0; i < 30; i++) perform(link.encodeSetLink({ index, up: i % 2 === 0 }));
      perform(link.encodeDeleteLink(index));
      const complete = listen();
      out.push([...new Set(heard)], complete, small.receive(() => {}), small.receive(() => {}));
    `,
  );
  expect(heard).toEqual(expect.arrayContaining(["16 br9", "20 10,9,0,1", "21 10,9,0,1", "17 br9"]));
  expect([complete, missed, after]).toEqual([true, false, true]);
});
