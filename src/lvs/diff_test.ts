/** The algebra of tables: what a difference makes of one is the other, and no more than that is done. */

import { expect, test } from "bun:test";
import { prng } from "../../test/support/prng.ts";
import type { Service } from "../netlink/ipvs.ts";
import type { Destination } from "../netlink/ipvs_destination.ts";
import { type Command, diff } from "./diff.ts";
import { destinationId, type Entry, serviceId, type Table } from "./table.ts";

const SCHEDULERS = ["rr", "wlc", "sh"];

/** A table out of so few possibilities that two of them often have things in common. */
function randomTable(random: ReturnType<typeof prng>): Table {
  const table = new Map<string, Entry>();
  for (let i = 0; i < 4; i++) {
    if (random.chance(0.4)) continue;
    const settings = {
      scheduler: random.pick(SCHEDULERS),
      flags: random.pick([0, 1, 4]),
      timeout: random.pick([0, 360]),
      netmask: 0xffffffff,
      ...(random.chance(0.2) ? { persistenceEngine: "sip" } : {}),
    };
    const service: Service = i === 3 ? { family: 6, fwmark: 7, ...settings } : {
      family: 4,
      protocol: i === 2 ? 17 : 6,
      address: Uint8Array.of(192, 0, 2, i),
      port: 80,
      ...settings,
    };
    const destinations = new Map<string, Destination>();
    for (let j = 0; j < 4; j++) {
      if (random.chance(0.5)) continue;
      const one: Destination = {
        address: Uint8Array.of(198, 51, 100, j),
        port: 80,
        forwarding: random.pick(["masquerade", "route", "tunnel"]),
        weight: random.pick([0, 1, 5]),
        upperThreshold: random.pick([0, 10]),
        lowerThreshold: 0,
      };
      destinations.set(destinationId(one), one);
    }
    table.set(serviceId(service), { service, destinations });
  }
  return table;
}

function shown(table: Table): unknown {
  return [...table].sort(([a], [b]) => a < b ? -1 : 1).map(([id, { service, destinations }]) => [
    id,
    service,
    [...destinations].sort(([a], [b]) => a < b ? -1 : 1),
  ]);
}

/** What a kernel makes of commands. */
function apply(commands: Iterable<Command>, table: Table): Map<string, Entry> {
  const after = new Map(table);
  const own = new Set<string>();
  for (const command of commands) {
    const id = serviceId(command.service);
    const entry = after.get(id);
    switch (command.type) {
      case "new-service":
        after.set(id, { service: command.service, destinations: new Map() });
        own.add(id);
        break;
      case "set-service":
        if (entry !== undefined) after.set(id, { ...entry, service: command.service });
        break;
      case "delete-service":
        after.delete(id);
        break;
      case "new-destination":
      case "set-destination":
      case "delete-destination": {
        if (entry === undefined) break;
        // Copied once, so that a table handed in stays as it is.
        const destinations = own.has(id)
          ? entry.destinations as Map<string, Destination>
          : new Map(entry.destinations);
        if (!own.has(id)) after.set(id, { ...entry, destinations });
        own.add(id);
        const { destination } = command;
        if (command.type === "delete-destination") destinations.delete(destinationId(destination));
        else destinations.set(destinationId(destination), destination);
        break;
      }
    }
  }
  return after;
}

test("apply(diff(a, b), a) is b, and diff(b, b) is nothing", () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = prng(seed);
    const [a, b] = [randomTable(random), randomTable(random)];
    const before = JSON.stringify(shown(a));
    expect([seed, shown(apply(diff(a, b), a))]).toEqual([seed, shown(b)]);
    expect([...diff(b, b)]).toEqual([]);
    expect(JSON.stringify(shown(a))).toBe(before);
  }
});

test("each object costs at most one command, and an empty service is made before it is filled", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = prng(seed);
    const commands = [...diff(randomTable(random), randomTable(random))];
    const about = commands.map((one) =>
      `${serviceId(one.service)}${"destination" in one ? ` ${destinationId(one.destination)}` : ""}`
    );
    expect([seed, new Set(about).size]).toEqual([seed, about.length]);
    const made = new Set<string>();
    for (const one of commands) {
      const id = serviceId(one.service);
      if (one.type === "new-service") made.add(id);
      if (one.type === "delete-service") expect(made.has(id)).toBeFalse();
    }
  }
});

test("only the ids that are asked about are compared", () => {
  const random = prng(7);
  const [a, b] = [randomTable(random), randomTable(random)];
  const [id] = [...a.keys(), ...b.keys()];
  const commands = [...diff(a, b, [id!])];
  expect(commands.every((one) => serviceId(one.service) === id)).toBeTrue();
});

test("what is new comes before what goes, within a service", () => {
  const service: Service = {
    family: 4,
    fwmark: 1,
    scheduler: "rr",
    flags: 0,
    timeout: 0,
    netmask: 0xffffffff,
  };
  const server = (last: number): Destination => ({
    address: Uint8Array.of(192, 0, 2, last),
    port: 80,
    forwarding: "masquerade",
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
  });
  const table = (...all: Destination[]): Table =>
    new Map([["FWM 1", { service, destinations: new Map(all.map((d) => [destinationId(d), d])) }]]);
  const types = [...diff(table(server(1)), table(server(2)))].map(({ type }: Command) => type);
  expect(types).toEqual(["new-destination", "delete-destination"]);
});

test("the kernel's own flag and what is around no tunnel do not count", () => {
  const service: Service = {
    family: 4,
    fwmark: 1,
    scheduler: "rr",
    flags: 0,
    timeout: 0,
    netmask: 0xffffffff,
  };
  const one: Destination = {
    address: Uint8Array.of(192, 0, 2, 1),
    port: 80,
    forwarding: "route",
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
  };
  const listed = { ...one, tunnel: { type: "gue", port: 1, checksum: "csum" } as const };
  const is = new Map([["FWM 1", {
    service: { ...service, flags: 2 },
    destinations: new Map([["192.0.2.1:80", listed]]),
  }]]);
  const shall = new Map([["FWM 1", { service, destinations: new Map([["192.0.2.1:80", one]]) }]]);
  expect([...diff(is, shall)]).toEqual([]);
  const tunnel = new Map([["FWM 1", {
    service,
    destinations: new Map([["192.0.2.1:80", { ...listed, forwarding: "tunnel" as const }]]),
  }]]);
  expect([...diff(is, tunnel)].map(({ type }) => type)).toEqual(["set-destination"]);
});
