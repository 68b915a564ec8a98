/**
 * VMACs over a kernel that keeps links and addresses as the real one does, and refuses what it is told to:
 * whatever it refuses, nothing is thrown, the refusal is told, and the next look puts things right.
 */

import { expect, test } from "bun:test";
import { EEXIST } from "../../ffi/constants.ts";
import { SysError } from "../../ffi/libc.ts";
import type { Request } from "../../ffi/netlink.ts";
import { instanceWith, virtualAddress } from "../../test/support/instances.ts";
import type { VrrpInstance } from "../config/vrrp.ts";
import { formatAddress } from "../lib/address.ts";
import { decodeAddressMessage, RTM_DELADDR, RTM_NEWADDR } from "../netlink/address.ts";
import { decodeLink, type Link, RTM_DELLINK } from "../netlink/link.ts";
import { AttributeWriter, get32, messages, NLM_F_CREATE, put32 } from "../netlink/message.ts";
import { LinkTable } from "./links.ts";
import { virtualMac } from "./vmac.ts";
import { Vmacs } from "./vmac_perform.ts";

const EPERM = 1;
const IFLA_MTU = 4;
const IFLA_IFNAME = 3;
/** struct ifinfomsg */
const HEAD_LENGTH = 16;
const BASE = { index: 2, name: "eth0", mac: Uint8Array.of(2, 0, 0, 0, 0, 1) };

/** A kernel with eth0; `refuses` says with which errno it refuses the request of that number. */
class FakeKernel {
  readonly links = new LinkTable();
  readonly logged: string[] = [];
  readonly doings: string[] = [];
  readonly addresses: string[] = [];
  readonly settings = new Map<string, string>();
  refuses = new Map<number, number>();
  /** How often a VMAC was ready to be switched on. */
  made = 0;
  #next = 10;

  constructor() {
    this.addBase();
  }

  addBase(mtu = 1500): void {
    const { index, name, mac: address } = BASE;
    this.links.setLink(link({ index, name, address, mtu, kind: "veth" }));
  }

  perform(requests: readonly Request[]): (SysError | undefined)[] {
    return requests.map(({ bytes, doing }) => {
      const code = this.refuses.get(this.doings.length) ?? this.#do(bytes);
      this.doings.push(doing);
      return code === 0 ? undefined : new SysError("netlink", code, doing);
    });
  }

  refresh(name: string): Link | undefined {
    return this.links.byName(name);
  }

  refused = (error: unknown): void => {
    this.logged.push((error as Error).message);
  };

  vmacs(): Vmacs {
    return new Vmacs(this, this.links, {
      log: (_, text) => this.logged.push(text),
      set: (path, value) => this.settings.set(path, value),
      original: () => "0",
      isVirtual: (address) => formatAddress(address) === "fe80::7",
      made: () => this.made++,
    });
  }

  /** The names of the VMACs that are there. */
  get names(): string[] {
    return [...this.links.all()].map(({ name }) => name).filter((name) => name !== BASE.name);
  }

  #do(bytes: Uint8Array): number {
    const [message] = messages(bytes);
    const { type, flags, payload } = message!;
    if (type === RTM_NEWADDR || type === RTM_DELADDR) {
      // The table hears of it later.
      const address = decodeAddressMessage(payload)!;
      this.addresses.push(`${type === RTM_NEWADDR ? "+" : "-"}${formatAddress(address.address)}`);
      return 0;
    }
    if (type === RTM_DELLINK) {
      const index = get32(payload, 4);
      const { group } = readLink(payload, 1, "all", 0);
      for (const one of [...this.links.all()]) {
        if (index === 0 ? one.group === group : one.index === index) {
          this.links.removeLink(one.index);
        }
      }
      return 0;
    }
    if ((flags & NLM_F_CREATE) === 0) return this.#change(payload);
    const w = new AttributeWriter();
    w.u32(IFLA_MTU, 1500);
    const made = Uint8Array.of(...payload, ...w.finish());
    put32(made, 4, this.#next++);
    const decoded = decodeLink(made)!;
    if (this.links.byName(decoded.name) !== undefined) return EEXIST;
    this.links.setLink(decoded);
    return 0;
  }

  #change(payload: Uint8Array): number {
    const before = this.links.byIndex(get32(payload, 4))!;
    const { mtu, group } = readLink(payload, before.index, before.name, before.mtu);
    const isUp = get32(payload, 12) !== 0;
    this.links.setLink({
      ...before,
      mtu,
      ...(group === undefined ? {} : { group }),
      ...(isUp ? { up: true, running: true } : {}),
    });
    return 0;
  }
}

/** What a request says of a link; what it does not say is as given. */
function readLink(payload: Uint8Array, index: number, name: string, mtu: number): Link {
  const w = new AttributeWriter();
  w.text(IFLA_IFNAME, name);
  w.u32(IFLA_MTU, mtu);
  const [head, rest] = [payload.slice(0, HEAD_LENGTH), payload.subarray(HEAD_LENGTH)];
  put32(head, 4, index);
  return decodeLink(Uint8Array.of(...head, ...w.finish(), ...rest))!;
}

function link(rest: Partial<Link> & Pick<Link, "index" | "name">): Link {
  return {
    flags: 0,
    mtu: 1500,
    address: virtualMac(4, 7),
    broadcast: new Uint8Array(6).fill(255),
    operstate: 6,
    up: true,
    running: true,
    ...rest,
  };
}

const one = (rest: Partial<VrrpInstance> = {}): VrrpInstance =>
  instanceWith({
    use_vmac: {},
    virtual_ipaddress: [virtualAddress("192.0.2.1", { dev: "eth0" })],
    ...rest,
  });
const six = one({
  family: 6,
  virtual_ipaddress: [virtualAddress("2001:db8::1", { dev: "eth0" })],
});

test("a VMAC is made, told to be quiet, and only then switched on", () => {
  const kernel = new FakeKernel();
  const { instance, vmac, made } = kernel.vmacs().place("key", one(), false);
  expect([vmac, made]).toEqual(["vrrp.7", ["vrrp.7"]]);
  expect(instance.virtual_ipaddress[0]!.dev).toBe("vrrp.7");
  expect(kernel.doings).toEqual([
    "creating VMAC interface vrrp.7",
    "setting the address generation mode of vrrp.7",
    "switching on vrrp.7",
  ]);
  expect(kernel.made).toBe(1);
  expect(kernel.links.byName("vrrp.7")).toMatchObject({ up: true, linkIndex: BASE.index });
  expect(kernel.settings.get("net/ipv4/conf/vrrp.7/arp_ignore")).toBe("1");
});

test("whatever is refused at the start: it is told, nothing is thrown, the next look helps", () => {
  const usual = new FakeKernel();
  usual.vmacs().place("key", six, false);
  const count = usual.doings.length;
  expect(count).toBe(4);
  for (let i = 0; i < count; i++) {
    const kernel = new FakeKernel();
    kernel.refuses.set(i, EPERM);
    const vmacs = kernel.vmacs();
    expect(vmacs.place("key", six, false).vmac).toBe("vrrp.7");
    const told = `netlink failed with EPERM while ${usual.doings[i]!}`;
    expect(kernel.logged.filter((text) => text.includes(told))).toHaveLength(1);
    vmacs.linksChanged(0);
    const there = kernel.links.byName("vrrp.7")!;
    // What somebody has switched off stays off.
    const isOff = usual.doings[i]!.startsWith("switching on");
    expect(there.up).toBe(!isOff);
    const own = kernel.links.linkLocal(there.index, () => false);
    expect(own && formatAddress(own)).toBe(isOff ? own && formatAddress(own) : "fe80::ff:fe00:1");
    vmacs.stop();
    expect(kernel.names).toEqual([]);
  }
});

test("what cannot be made is not told at every change of a link", () => {
  const kernel = new FakeKernel();
  for (let i = 0; i < 10; i++) kernel.refuses.set(i, EPERM);
  const vmacs = kernel.vmacs();
  vmacs.place("key", one(), false);
  for (let now = 0; now < 5; now++) vmacs.linksChanged(now);
  expect(kernel.logged).toHaveLength(1);
});

/** A VMAC of these, and what somebody else's removal of it makes of it at a moment. */
function removable(rest: Partial<VrrpInstance> = {}): {
  readonly kernel: FakeKernel;
  readonly vmacs: Vmacs;
  readonly remove: (now: number) => readonly (readonly [boolean, number])[];
} {
  const kernel = new FakeKernel();
  const vmacs = kernel.vmacs();
  vmacs.place("key", one(rest), false);
  const remove = (now: number): [boolean, number][] => {
    kernel.links.removeLink(kernel.links.byName("vrrp.7")?.index ?? 0);
    return vmacs.mend(now).map(({ isBack, repairs }) => [isBack, repairs]);
  };
  return { kernel, vmacs, remove };
}

test("one that somebody removes is made again; again and again, and it is left alone for a while", () => {
  const { kernel, vmacs, remove } = removable();
  for (let now = 0; now < 10; now++) {
    expect(remove(now)).toEqual([[true, now + 1]]);
    expect([vmacs.mend(now), vmacs.linksChanged(now)]).toEqual([[], false]);
    expect([kernel.names, vmacs.retryAt]).toEqual([["vrrp.7"], Infinity]);
  }
  expect(remove(10)).toEqual([[false, 10]]);
  // It is told of once.
  expect([vmacs.mend(11), vmacs.linksChanged(11), kernel.names]).toEqual([[], false, []]);
  expect(vmacs.retryAt).toBe(10_000_000);
  expect(vmacs.linksChanged(vmacs.retryAt)).toBe(true);
  expect([kernel.names, vmacs.retryAt]).toEqual([["vrrp.7"], Infinity]);
  expect(remove(10_000_001)).toEqual([[true, 10]]);
});

test("vip_removed step_down: it is made again when the fault has been told", () => {
  const { kernel, vmacs, remove } = removable({ vip_removed: "step_down" });
  expect([remove(0), kernel.names]).toEqual([[], []]);
  expect([vmacs.linksChanged(0), kernel.names]).toEqual([true, ["vrrp.7"]]);
});

test("one that goes with the link below is no removal", () => {
  const { kernel, vmacs, remove } = removable();
  kernel.links.setLink({ ...kernel.links.byName("eth0")!, up: false });
  expect(remove(0)).toEqual([]);
  kernel.links.removeLink(BASE.index);
  expect([vmacs.mend(1), vmacs.linksChanged(1)]).toEqual([[], false]);
});

test("one that was renamed is made again under its name, and the other goes", () => {
  const { kernel, vmacs } = removable();
  const there = kernel.links.byName("vrrp.7")!;
  kernel.links.setLink({ ...there, name: "other" });
  vmacs.linkDown("vrrp.7", 99);
  expect(vmacs.mend(0)).toMatchObject([{ isBack: true, vmac: { name: "vrrp.7", port: 99 } }]);
  expect(kernel.names).toEqual(["vrrp.7"]);
  expect(kernel.links.byName("vrrp.7")!.index).not.toBe(there.index);
});

test("one that is down while the link below is up is asked about", () => {
  const { kernel, vmacs, remove } = removable();
  expect(vmacs.ask()).toBe(false);
  const there = kernel.links.byName("vrrp.7")!;
  kernel.links.setLink({ ...there, up: false });
  expect([vmacs.ask(), kernel.names]).toEqual([true, ["vrrp.7"]]);
  // It has gone.
  const refresh = kernel.refresh.bind(kernel);
  kernel.refresh = () => undefined;
  expect([vmacs.ask(), kernel.names]).toEqual([true, []]);
  kernel.refresh = refresh;
  expect([vmacs.ask(), remove(0), kernel.names]).toEqual([false, [[true, 1]], ["vrrp.7"]]);
});

test("without the link below there is a name, and a link as soon as that is there", () => {
  const kernel = new FakeKernel();
  kernel.links.clear();
  const vmacs = kernel.vmacs();
  const { vmac, made } = vmacs.place("key", six, false);
  expect([vmac, made, kernel.doings]).toEqual(["vrrp.7", [], []]);
  kernel.addBase();
  expect(vmacs.linksChanged(0)).toBe(true);
  expect(kernel.names).toEqual(["vrrp.7"]);
  expect(vmacs.linksChanged(1)).toBe(false);
});

test("its MTU follows, its link-local address comes back", () => {
  const kernel = new FakeKernel();
  const vmacs = kernel.vmacs();
  vmacs.place("key", six, false);
  const { index } = kernel.links.byName("vrrp.7")!;
  const own = kernel.links.addressesOf(index)[0]!;
  kernel.links.removeAddress(own);
  kernel.addBase(1400);
  expect(vmacs.linksChanged(0)).toBe(false);
  expect(kernel.links.byName("vrrp.7")!.mtu).toBe(1400);
  expect(kernel.links.addressesOf(index).map(({ address }) => formatAddress(address)))
    .toEqual([formatAddress(own.address)]);
});

test("a predecessor's is taken over: with its addresses when it goes on, without when not", () => {
  for (const keeps of [true, false]) {
    const kernel = new FakeKernel();
    kernel.vmacs().place("old", one(), false);
    const { index } = kernel.links.byName("vrrp.7")!;
    const address = Uint8Array.of(192, 0, 2, 1);
    kernel.links.setAddress({
      index,
      address,
      prefixLength: 32,
      scope: 0,
      flags: 0,
      preferredLifetime: 0,
      validLifetime: 0,
    });
    const vmacs = kernel.vmacs();
    expect(vmacs.place("key", one(), keeps)).toMatchObject({ vmac: "vrrp.7", made: [] });
    expect(kernel.links.byName("vrrp.7")!.index).toBe(index);
    expect(kernel.links.holds(index, address)).toBe(keeps);
  }
});

test("what is stripped and needed all the same is put back at once", () => {
  const kernel = new FakeKernel();
  kernel.vmacs().place("old", six, false);
  const vmacs = kernel.vmacs();
  vmacs.place("key", six, false);
  const own = "fe80::ff:fe00:1";
  expect(kernel.addresses).toEqual([`+${own}`, `-${own}`, `+${own}`]);
  expect(kernel.links.linkLocal(kernel.links.byName("vrrp.7")!.index, () => false)).toBeDefined();
});

test("a virtual link-local address is none of its own: it has another beside it", () => {
  const kernel = new FakeKernel();
  kernel.vmacs().place("old", six, false);
  const { index } = kernel.links.byName("vrrp.7")!;
  const own = kernel.links.addressesOf(index)[0]!;
  const virtual = Uint8Array.of(0xfe, 0x80, ...new Array<number>(13).fill(0), 7);
  kernel.links.removeAddress(own);
  kernel.links.setAddress({ ...own, address: virtual });
  kernel.vmacs().place("key", six, true);
  expect(kernel.links.addressesOf(index).map(({ address }) => formatAddress(address)))
    .toEqual(["fe80::7", formatAddress(own.address)]);
});

test("names: another's is gone around, an own one with nobody left is taken", () => {
  const kernel = new FakeKernel();
  kernel.links.setLink(link({ index: 3, name: "vrrp.7", kind: "veth" }));
  const vmacs = kernel.vmacs();
  expect(vmacs.place("four", one(), false).vmac).toBe("vrrp1.7");
  expect(vmacs.place("six", six, false).vmac).toBe("vrrp6.7");
  const named = one({ use_vmac: { name: "vrrp.7" } });
  expect(vmacs.place("four", named, false).vmac).toBe("vrrp1.7");
  expect(kernel.logged.at(-2)).toContain("already exists and is not a private macvlan");
  const custom = one({ use_vmac: { name: "mine", mac: "02:00:00:00:00:aa" } });
  expect(vmacs.place("four", custom, false).vmac).toBe("mine");
  const other = one({ use_vmac: { name: "mine", mac: "02:00:00:00:00:bb" } });
  expect(vmacs.place("four", other, false)).toMatchObject({ vmac: "mine", made: ["mine"] });
  expect(vmacs.sweep()).toBe(true);
  expect(kernel.names.toSorted()).toEqual(["mine", "vrrp.7", "vrrp6.7"]);
});

test("one whose VMAC another has is not put on it, until that one is gone", () => {
  const kernel = new FakeKernel();
  const vmacs = kernel.vmacs();
  vmacs.place("first", one(), false);
  const second = one({ name: "W", mcast_group: "224.0.0.19" });
  const { instance, vmac } = vmacs.place("second", { ...second, vmac_rival: "V" }, false);
  expect([vmac, instance.virtual_ipaddress[0]!.dev]).toEqual([undefined, "eth0"]);
  expect(kernel.logged.at(-1)).toBe("(V) uses same VMAC as VRRP instance W, disabling W");
  expect(kernel.names).toEqual(["vrrp.7"]);
  vmacs.forget("first");
  expect(vmacs.place("second", second, false)).toMatchObject({ vmac: "vrrp.7" });
});

test("two of one sync group share a link, which goes with the last of them", () => {
  const kernel = new FakeKernel();
  const vmacs = kernel.vmacs();
  expect(vmacs.place("first", one({ use_vmac: { name: "mine" } }), false).vmac).toBe("mine");
  const second = vmacs.place("second", one({ name: "W", mcast_group: "224.0.0.19" }), false);
  expect(second.vmac).toBe("mine");
  vmacs.forget("first");
  expect([vmacs.sweep(), kernel.names]).toEqual([false, ["mine"]]);
  vmacs.forget("second");
  expect([vmacs.sweep(), kernel.names]).toEqual([true, []]);
});

test("settings of the links below: each once, and of IPv4 alone", () => {
  const kernel = new FakeKernel();
  const vmacs = kernel.vmacs();
  expect(vmacs.settings()).toEqual([]);
  vmacs.place("key", one(), false);
  const conf = "net/ipv4/conf/eth0";
  expect(Object.fromEntries(vmacs.settings())).toEqual({
    [`${conf}/arp_ignore`]: "1",
    [`${conf}/arp_filter`]: "1",
    [`${conf}/arp_announce`]: "2",
  });
});

test("many go together, whatever else is in groups; one by one when the kernel will not have that", () => {
  for (const isRefused of [false, true]) {
    const kernel = new FakeKernel();
    const group = 0x56_4d_41_43;
    kernel.links.setLink(link({ index: 3, name: "other", kind: "dummy", group }));
    const vmacs = kernel.vmacs();
    for (const vrid of [1, 2, 3]) {
      vmacs.place(`${vrid}`, one({ virtual_router_id: vrid }), false);
    }
    kernel.doings.length = 0;
    if (isRefused) kernel.refuses.set(3, EPERM);
    vmacs.stop();
    expect(kernel.names).toEqual(["other"]);
    const together = Array.from({ length: 4 }, () => "removing VMAC interfaces");
    const each = [1, 2, 3].map((vrid) => `removing VMAC interface vrrp.${vrid}`);
    expect(kernel.doings).toEqual(isRefused ? [...together, ...each] : together);
    expect(kernel.logged.filter((text) => text.includes("Success removing"))).toHaveLength(3);
  }
});
