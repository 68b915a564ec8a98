/** IPVS as a real kernel described it, and requests as ipvsadm sent them. */

import { expect, test } from "bun:test";
import golden from "../../test/golden/netlink/ipvs.json";
import {
  asIpvsadmSaves,
  SOME_DAEMONS,
  SOME_DESTINATIONS,
  SOME_SERVICES,
} from "../../test/support/ipvs.ts";
import { mutants } from "../../test/support/mutants.ts";
import { formatAddress } from "../lib/address.ts";
import { decodeFamily, encodeGetFamily } from "./generic.ts";
import {
  decodeService,
  encodeDeleteService,
  encodeDumpServices,
  encodeFlush,
  encodeGetService,
  encodeNewService,
  encodeSetService,
  encodeZero,
  IPVS_GENL_NAME,
  type ListedService,
} from "./ipvs.ts";
import {
  decodeDaemon,
  decodeInfo,
  decodeTimeouts,
  encodeDeleteDaemon,
  encodeDumpDaemons,
  encodeGetInfo,
  encodeGetTimeouts,
  encodeNewDaemon,
  encodeSetTimeouts,
} from "./ipvs_control.ts";
import {
  decodeDestination,
  encodeDeleteDestination,
  encodeDumpDestinations,
  encodeNewDestination,
  encodeSetDestination,
  type ListedDestination,
} from "./ipvs_destination.ts";
import type { Stats } from "./ipvs_stats.ts";
import { type Message, messages, NLMSG_DONE } from "./message.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));
const { family } = golden;
const only = (bytes: Uint8Array): Message => [...messages(bytes)][0]!;

const ours: Uint8Array[] = [
  ...SOME_DAEMONS.map((daemon) => encodeNewDaemon(family, daemon)),
  encodeDeleteDaemon(family, "master"),
  encodeDeleteDaemon(family, "backup"),
  ...SOME_SERVICES.map((service) => encodeNewService(family, service)),
  ...SOME_DESTINATIONS.map(([i, one]) => encodeNewDestination(family, SOME_SERVICES[i]!, one)),
  encodeSetService(family, { ...SOME_SERVICES[0]!, scheduler: "wrr" }),
  encodeSetDestination(family, SOME_SERVICES[0]!, { ...SOME_DESTINATIONS[1]![1], weight: 9 }),
  encodeSetTimeouts(family, { tcp: 800, tcpFin: 90, udp: 200 }),
  encodeDeleteDestination(family, SOME_SERVICES[0]!, SOME_DESTINATIONS[1]![1]),
  encodeZero(family, SOME_SERVICES[0]!),
  encodeZero(family),
  ...[5, 6, 7].map((i) => encodeDeleteService(family, SOME_SERVICES[i]!)),
  encodeFlush(family),
  encodeDeleteService(family, SOME_SERVICES[0]!),
];

interface Parts {
  readonly head: string;
  /** Attributes in hex by their types, those inside a nest as `nest.type`. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** A request taken apart; every attribute on top of a request about IPVS but timeouts is a nest. */
function parts(bytes: Uint8Array): Parts {
  const { type, flags, payload } = only(bytes);
  const attributes: Record<string, string> = {};
  const walk = (from: Uint8Array, prefix: string): void => {
    const view = new DataView(from.buffer, from.byteOffset, from.byteLength);
    for (let offset = 0; offset < from.length;) {
      const length = view.getUint16(offset, true);
      const number = view.getUint16(offset + 2, true) & 0x3fff;
      const value = from.subarray(offset + 4, offset + length);
      if (prefix === "" && number <= 3) walk(value, `${number}.`);
      else attributes[`${prefix}${number}`] = value.toHex();
      offset += (length + 3) & ~3;
    }
  };
  walk(payload.subarray(4), "");
  return { head: `${type} ${flags} ${payload.subarray(0, 4).toHex()}`, attributes };
}

test.each(golden.requests.map((it, i) => ({ ...it, i })))(
  "the request of $command",
  ({ command, hex: theirs, i }) => {
    const [mine, other] = [parts(ours[i]!), parts(hex(theirs))];
    expect(mine.head).toBe(other.head);
    // Where a key is enough ipvsadm sends settings as well; stopping a daemon, it sends less.
    const asked = /ipvsadm (-A|-E|--set|--start)/.test(command);
    if (asked) expect(mine.attributes).toEqual(other.attributes);
    else if (command.includes("--stop")) {
      expect(mine.attributes).toMatchObject({ ...other.attributes });
    } else expect(other.attributes).toMatchObject({ ...mine.attributes });
    const named = Object.keys(other.attributes).filter((name) => name.startsWith("2."));
    const sent = Object.keys(mine.attributes).filter((name) => name.startsWith("2."));
    if (/ipvsadm -[ae] /.test(command)) expect(sent.sort()).toEqual(named.sort());
  },
);

test("the family is asked for by name, and its number read", () => {
  const [asked, answered] = golden.control;
  const mine = only(encodeGetFamily(IPVS_GENL_NAME));
  const theirs = only(hex(asked!.hex));
  expect([mine.type, mine.payload.toHex()]).toEqual([theirs.type, theirs.payload.toHex()]);
  const { payload } = only(hex(answered!.hex));
  expect(decodeFamily(payload)).toEqual({ name: "IPVS", id: family });
  for (const mutant of mutants(payload)) {
    const found = decodeFamily(mutant);
    expect(found === undefined || (found.id > 0 && found.name !== "")).toBeTrue();
  }
});

/** The replies to one question, without the end. */
function replies(answers: readonly string[]): Message[] {
  return answers.flatMap((datagram) => [...messages(hex(datagram))])
    .filter(({ type }) => type === family);
}

/** What ipvsadm asked for a list: info, services, the destinations of each. */
const [info, services, ...behind] = golden.list;
const listed: ListedService[] = replies(services!.answers).map(({ payload }) =>
  decodeService(payload)!
);

/**
 * ipvsadm shows services by protocol and address; the kernel sends them as they lie in its table,
 * and ipvsadm then asks for their destinations in the order in which it will show them.
 */
function behindEach(): [ListedService, ListedDestination[]][] {
  return behind.map(({ asked, answers }) => {
    const service = listed.find((one) => {
      const question = encodeDumpDestinations(family, one);
      return only(question).payload.toHex() === only(hex(asked)).payload.toHex();
    });
    const found = replies(answers).map(({ payload }) => decodeDestination(payload)!);
    return [service!, found.sort((a, b) => a.address.at(-1)! - b.address.at(-1)!)];
  });
}

test("a list reads as ipvsadm reads it", () => {
  expect(only(encodeDumpServices(family)).payload.toHex())
    .toBe(only(hex(services!.asked)).payload.toHex());
  const saved = behindEach().flatMap(([service, all]) => asIpvsadmSaves(service, all));
  expect(saved).toEqual(golden.saved);
});

test("what has come by, as ipvsadm shows it", () => {
  const counts = ({ connections, inPackets, outPackets, inBytes, outBytes }: Stats): string =>
    [connections, inPackets, outPackets, inBytes, outBytes].join(" ");
  const seen = behindEach().flatMap(([service, all]) => [
    counts(service.stats),
    ...all.map(({ stats }) => counts(stats)),
  ]);
  const shown = golden.stats.slice(3).filter((line) => line !== "")
    .map((line) => line.trim().split(/ +/).slice(-5).join(" "));
  expect(seen).toEqual(shown);
  expect(new Set(seen)).toContain("3 3 0 180 0");
});

test("thresholds and counts of connections", () => {
  const [, first] = behindEach()[0]!;
  expect(first[0]).toMatchObject({ upperThreshold: 100, lowerThreshold: 50, activeConnections: 0 });
  const busy = first.find(({ weight }) => weight === 65535);
  expect(busy!.activeConnections + busy!.inactiveConnections).toBe(3);
});

test("daemons, timeouts and version", () => {
  const [, daemons] = golden.daemons;
  expect(only(encodeDumpDaemons(family)).payload.toHex())
    .toBe(only(hex(daemons!.asked)).payload.toHex());
  const shown = replies(daemons!.answers).map(({ payload }) => decodeDaemon(payload)!)
    .map(({ state, link, syncId, maxLength, group, port, ttl }) =>
      `${state} sync daemon (mcast=${link}, syncid=${syncId}, maxlen=${maxLength}, ` +
      `group=${formatAddress(group!)}, port=${port}, ttl=${ttl})`
    );
  expect(shown).toEqual(golden.daemonsShown);

  const [, timeouts] = golden.timeouts;
  expect(only(encodeGetTimeouts(family)).payload.toHex())
    .toBe(only(hex(timeouts!.asked)).payload.toHex());
  const { tcp, tcpFin, udp } = decodeTimeouts(replies(timeouts!.answers)[0]!.payload)!;
  expect(`Timeout (tcp tcpfin udp): ${tcp} ${tcpFin} ${udp}`).toBe(golden.timeoutsShown);

  expect(only(encodeGetInfo(family)).payload.toHex()).toBe(only(hex(info!.asked)).payload.toHex());
  const said = decodeInfo(replies(info!.answers)[0]!.payload);
  expect(said).toEqual({ version: 0x010201, tableSize: 4096 });
});

test("what is decoded and encoded again decodes to itself", () => {
  for (const service of listed) {
    const again = decodeService(only(encodeNewService(family, service)).payload)!;
    const none = again.stats;
    expect(again).toEqual({ ...service, stats: none });
    expect(decodeService(only(encodeGetService(family, service)).payload)).toBeUndefined();
  }
  for (const [i, one] of SOME_DESTINATIONS) {
    const { payload } = only(encodeNewDestination(family, SOME_SERVICES[i]!, one));
    expect(decodeDestination(payload)).toMatchObject({ ...one });
  }
  for (const daemon of SOME_DAEMONS) {
    expect(decodeDaemon(only(encodeNewDaemon(family, daemon)).payload)).toEqual(daemon);
  }
});

test("damaged records are undefined or whole, and never throw", () => {
  const of = (it: { answers: readonly string[] }): Message[] => replies(it.answers).slice(0, 3);
  const check = (all: Message[], decode: (payload: Uint8Array) => boolean): void => {
    for (const { payload } of all) {
      for (const mutant of mutants(payload)) expect(decode(mutant)).toBeTrue();
    }
  };
  check([services!].flatMap(of), (payload) => {
    const it = decodeService(payload);
    return it === undefined || it.fwmark !== undefined ||
      it.address.length === (it.family === 4 ? 4 : 16);
  });
  check(behind.flatMap(of).slice(0, 3), (payload) => {
    const it = decodeDestination(payload);
    return it === undefined || [4, 16].includes(it.address.length);
  });
  check(golden.daemons.flatMap(of), (payload) => {
    const it = decodeDaemon(payload);
    return it === undefined || ["master", "backup"].includes(it.state);
  });
  check(golden.timeouts.flatMap(of), (payload) => {
    const it = decodeTimeouts(payload);
    return it === undefined || Number.isInteger(it.tcp);
  });
  check([info!].flatMap(of), (payload) => {
    const it = decodeInfo(payload);
    return it === undefined || Number.isInteger(it.version);
  });
});

test("every reply but the ends is of the family", () => {
  const types = [...golden.list, ...golden.daemons, ...golden.timeouts]
    .flatMap(({ answers }) => answers.flatMap((datagram) => [...messages(hex(datagram))]))
    .map(({ type }) => type).filter((type) => type !== NLMSG_DONE && type !== 2);
  expect(new Set(types)).toEqual(new Set([family]));
});

test("counts of 64 bits where the kernel has them, else those of 32", () => {
  const { payload } = only(encodeNewService(family, SOME_SERVICES[5]!));
  const statsOf = (...nests: string[]): Stats => {
    const added = hex(nests.join(""));
    const whole = new Uint8Array([...payload, ...added]);
    whole[4] = whole[4]! + added.length; // the length of the nest
    return decodeService(whole)!.stats;
  };
  const narrow = "1800 0a00 0800 0100 ffffffff 0c00 0400 0100000001000000";
  const wide = "1000 0c00 0c00 0100 0200000001000000";
  expect(statsOf()).toMatchObject({ connections: 0n, inBytes: 0n });
  expect(statsOf(narrow)).toMatchObject({ connections: 0xffffffffn, inBytes: 0x100000001n });
  expect(statsOf(narrow, wide)).toMatchObject({ connections: 0x100000002n, inBytes: 0n });
  expect(statsOf(wide, narrow)).toMatchObject({ connections: 0x100000002n, inBytes: 0n });
});

test("a reply without room for its own header is none", () => {
  const decoders = [
    decodeFamily,
    decodeService,
    decodeDestination,
    decodeDaemon,
    decodeTimeouts,
    decodeInfo,
  ];
  for (const decode of decoders) {
    for (let length = 0; length < 4; length++) {
      expect(decode(new Uint8Array(length))).toBeUndefined();
    }
  }
});
