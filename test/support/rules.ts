/** Rules of every kind that there is, as the commands of `test/golden/netlink/rules.json` ask for. */

import type { Rule, RuleAction } from "../../src/netlink/rule.ts";
import { prefix } from "./routes.ts";

/** A rule as iproute2 fills it in. */
export function rule(family: 4 | 6, action: RuleAction, rest: Partial<Rule> = {}): Rule {
  return { family, tos: 0, protocol: 0, action, ...rest };
}

/** The action that looks up a table. */
export const lookup = (table: number): RuleAction => ({ type: "table", table });
const eight = { from: prefix("192.0.2.8") };

/** The rules of the golden's commands, in their order. */
export const SOME_RULES: readonly Rule[] = [
  rule(4, lookup(100), { from: prefix("192.0.2.0/24"), priority: 1000 }),
  rule(4, lookup(1000), { to: prefix("198.51.100.1"), protocol: 18, priority: 1001 }),
  rule(4, lookup(254), {
    invert: true,
    from: prefix("192.0.2.7"),
    to: prefix("10.0.0.0/8"),
    tos: 16,
    iif: "x0",
    oif: "lo",
    fwmark: { mark: 0x10, mask: 0xff },
    priority: 1002,
  }),
  rule(4, {
    type: "table",
    table: 100,
    realms: 3 << 16 | 4,
    suppressPrefixLength: 0,
    suppressGroup: 5,
  }, { fwmark: { mark: 7, mask: 0xffffffff }, priority: 1003 }),
  rule(4, lookup(100), {
    iif: "lo",
    tunnelId: 18446744073709551614n,
    uidRange: { first: 1000, last: 2000 },
    ipProto: 6,
    sport: { first: 80, last: 90 },
    dport: { first: 443, last: 443 },
    priority: 1004,
  }),
  rule(4, { type: "goto", priority: 1001 }, { priority: 900 }),
  rule(4, { type: "goto", priority: 2000 }, { iif: "gone", priority: 901 }),
  rule(4, { type: "nop" }, { ...eight, priority: 902 }),
  rule(4, { type: "blackhole" }, { ...eight, priority: 903 }),
  rule(4, { type: "unreachable" }, { ...eight, priority: 904 }),
  rule(4, { type: "prohibit" }, { ...eight, priority: 905 }),
  rule(4, { type: "l3mdev" }, { from: prefix("192.0.2.9"), protocol: 18, priority: 906 }),
  rule(4, lookup(5), { from: prefix("192.0.2.10") }),
  rule(6, lookup(100), {
    from: prefix("2001:db8::/32"),
    to: prefix("2001:db8:1::1"),
    priority: 1000,
  }),
  rule(6, { type: "table", table: 0xffffffff, suppressPrefixLength: 64 }, {
    to: prefix("2001:db8:2::/48"),
    fwmark: { mark: 0xffffffff, mask: 1 },
    protocol: 18,
    priority: 1001,
  }),
  rule(6, { type: "prohibit" }, {
    invert: true,
    iif: "x0",
    dport: { first: 1, last: 65534 },
    ipProto: 17,
    uidRange: { first: 0, last: 0 },
    priority: 1002,
  }),
  rule(6, { type: "l3mdev" }, { priority: 1003 }),
  rule(6, { type: "goto", priority: 1003 }, { tunnelId: 5n, tos: 0x20, priority: 999 }),
];
