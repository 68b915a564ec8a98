/** Rules as a real kernel described them, and requests as iproute2 sent them. */

import { expect, test } from "bun:test";
import golden from "../../test/golden/netlink/rules.json";
import { sortedMessage } from "../../test/support/attributes.ts";
import { comparableRule, ruleAsIpSays } from "../../test/support/ip_rule.ts";
import { mutants } from "../../test/support/mutants.ts";
import { prefix } from "../../test/support/routes.ts";
import { lookup, rule, SOME_RULES } from "../../test/support/rules.ts";
import { type Message, messages, NLMSG_DONE } from "./message.ts";
import {
  decodeRule,
  encodeDeleteRule,
  encodeDumpRules,
  encodeNewRule,
  isRuleAsWanted,
  RTM_NEWRULE,
  type Rule,
  type RuleAction,
} from "./rule.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));
const records = (datagrams: readonly string[]): Message[] =>
  datagrams.flatMap((datagram) => [...messages(hex(datagram))])
    .filter((message) => message.type !== NLMSG_DONE);

/** The rules of the golden's deletions, in their order. */
const DELETED: readonly Rule[] = [0, 8, 16, 5].map((i) => SOME_RULES[i]!);

const isDeletion = ({ command }: { command: string }): boolean => command.includes(" rule del ");
const rows = [
  ...golden.requests.filter((it) => !isDeletion(it)).map((it, i) => ({
    ...it,
    ours: encodeNewRule(SOME_RULES[i]!),
  })),
  ...golden.requests.filter(isDeletion).map((it, i) => ({
    ...it,
    ours: encodeDeleteRule(DELETED[i]!),
  })),
];

test.each(rows)("the request of $command", ({ ours, hex: theirs }) => {
  expect(sortedMessage(ours, 28)).toEqual(sortedMessage(hex(theirs), 28));
});

test.each(golden.dumps)("a dump reads as ip reads it: $name", ({ datagrams, rules }) => {
  const seen = records(datagrams).map((message) => {
    expect(message.type).toBe(RTM_NEWRULE);
    return ruleAsIpSays(decodeRule(message.payload)!);
  });
  expect(seen).toEqual(rules.map((said) => comparableRule(said)));
});

const dumped = golden.dumps.flatMap(({ datagrams }) => records(datagrams));

test("what is decoded and encoded again decodes to itself", () => {
  for (const { payload } of dumped) {
    const it = decodeRule(payload)!;
    const [again] = messages(encodeNewRule(it));
    expect(decodeRule(again!.payload)).toEqual(it);
  }
  for (const it of SOME_RULES) {
    const [sent] = messages(encodeNewRule(it));
    expect(decodeRule(sent!.payload)).toEqual(it);
  }
});

test("every rule that was added is found in the dump, once", () => {
  const there = dumped.map(({ payload }) => decodeRule(payload)!);
  for (const wanted of SOME_RULES) {
    expect([wanted, there.filter((one) => isRuleAsWanted(one, wanted)).length]).toEqual([
      wanted,
      1,
    ]);
  }
});

test("a rule that differs in one thing is another", () => {
  const base = rule(4, lookup(100), { from: prefix("192.0.2.0/24"), priority: 10 });
  const six = rule(6, { ...lookup(100), realms: 3 } as RuleAction, { priority: 10 });
  const changes: Partial<Rule>[] = [
    { family: 6, from: prefix("2001:db8::/32") },
    { invert: true },
    { from: prefix("192.0.2.0/25") },
    { from: prefix("192.0.3.0/24") },
    { to: prefix("10.0.0.1") },
    { tos: 8 },
    { iif: "eth0" },
    { oif: "eth0" },
    { fwmark: { mark: 1, mask: 0xffffffff } },
    { tunnelId: 1n },
    { uidRange: { first: 1, last: 2 } },
    { ipProto: 6 },
    { sport: { first: 1, last: 1 } },
    { dport: { first: 1, last: 1 } },
    { protocol: 18 },
    { priority: 11 },
    { action: lookup(101) },
    { action: { type: "table", table: 100, suppressPrefixLength: 0 } },
    { action: { type: "table", table: 100, suppressGroup: 0 } },
    { action: { type: "table", table: 100, realms: 1 } },
    { action: { type: "goto", priority: 100 } },
    { action: { type: "l3mdev" } },
    { action: { type: "blackhole" } },
  ];
  for (const change of changes) {
    const other = { ...base, ...change };
    expect(isRuleAsWanted(base, base)).toBeTrue();
    expect([change, isRuleAsWanted(other, base)]).toEqual([change, false]);
    expect([change, isRuleAsWanted(base, other)]).toEqual([change, false]);
  }
  const { priority: _, ...anywhere } = base;
  expect(isRuleAsWanted(base, anywhere)).toBeTrue();
  expect(isRuleAsWanted(base, { ...base, invert: false })).toBeTrue();
  expect(isRuleAsWanted(rule(6, lookup(100), { priority: 10 }), six)).toBeTrue();
});

test("damaged records are undefined or whole, and never throw", () => {
  const requests = golden.requests.map(({ hex: bytes }) => [...messages(hex(bytes))][0]!);
  for (const { payload } of [...dumped, ...requests]) {
    for (const mutant of mutants(payload)) {
      const it = decodeRule(mutant);
      if (it === undefined) continue;
      const length = it.family === 4 ? 4 : 16;
      const whole = [it.from, it.to].every((p) =>
        p === undefined || (p.address.length === length && p.length <= 8 * length)
      );
      expect(whole).toBeTrue();
      encodeNewRule(it);
    }
  }
});

test("malformed records", () => {
  const head = "02001800 64000001 00000000";
  const from = "08000200 c0000200";
  const cases: [string, boolean][] = [
    [`${head} ${from}`, true],
    [head, false], // 24 bits of nothing
    [`02002100 64000001 00000000 ${from}`, false], // a prefix of 33 bits
    [`80001800 64000001 00000000 ${from}`, false], // RTNL_FAMILY_IPMR
    [`02001800 64000005 00000000 ${from}`, false], // an action that nobody has
    [`02001800 64000007 00000000 ${from}`, true],
    [`${head} 07000200 c0000200`, false],
    [`${head} ${from} 06000f00 0100`, false], // a table of two bytes
    [`${head} ${from} 08001400 01000000`, false], // half a range of users
    [`${head} ${from} 06001700 5000 0000`, false], // half a range of ports
    [`${head} ${from} 0400`, false], // half an attribute
  ];
  for (const [bytes, good] of cases) {
    expect([bytes, decodeRule(hex(bytes)) !== undefined]).toEqual([bytes, good]);
  }
});

test("dumps of one family or all", () => {
  const head = "1c000000 2200 0103 00000000 00000000".replaceAll(" ", "");
  expect(encodeDumpRules(4).toHex()).toBe(`${head}020000000000000000000000`);
  expect(encodeDumpRules(6).toHex()).toBe(`${head}0a0000000000000000000000`);
  expect(encodeDumpRules().toHex()).toBe(`${head}000000000000000000000000`);
});
