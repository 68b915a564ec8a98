/** What `systemctl status` shows. */
import { expect, test } from "bun:test";
import { type Standing, statusLine } from "./systemd.ts";

const LOST: Standing = { state: "FAULT", reason: "eth0 is down" };

test("a few instances are named, with what is wrong", () => {
  const few = new Map<string, Standing>([["VI_1", { state: "MASTER" }], ["VI_2", LOST]]);
  expect(statusLine(few)).toBe("VI_1 MASTER, VI_2 FAULT (eth0 is down)");
  expect(statusLine(new Map())).toBe("");
});

test("many are counted, and those that are not well still named, as far as there is room", () => {
  const many = new Map<string, Standing>(
    Array.from({ length: 20 }, (_, i) => [`V${i}`, { state: i < 15 ? "MASTER" : "BACKUP" }]),
  );
  expect(statusLine(many)).toBe("15 MASTER, 5 BACKUP");
  expect(statusLine(many.set("V3", LOST))).toBe(
    "14 MASTER, 1 FAULT, 5 BACKUP, V3 FAULT (eth0 is down)",
  );
  for (const name of many.keys()) many.set(name, LOST);
  expect(statusLine(many).match(/eth0/g)).toHaveLength(8);
});
