/** Rules in the words of `ip -j -N -d rule show`, to be compared with what it says itself. */

import { formatAddress } from "../../src/lib/address.ts";
import type { Prefix } from "../../src/netlink/family.ts";
import type { Range, Rule, RuleAction } from "../../src/netlink/rule.ts";

type Said = Record<string, unknown>;

const NUMBERS: Readonly<Partial<Record<RuleAction["type"], string>>> = {
  blackhole: "6",
  unreachable: "7",
  prohibit: "8",
};

/** A rule as `ip` would show it. */
export function ruleAsIpSays(rule: Rule): Said {
  const { fwmark, uidRange, tunnelId, tos, ipProto } = rule;
  const said: Said = {
    priority: rule.priority ?? 0,
    not: rule.invert ? null : undefined,
    ...(rule.from === undefined ? { src: "all" } : prefix("src", rule.from)),
    ...(rule.to && prefix("dst", rule.to)),
    tos: tos === 0 ? undefined : hex(tos),
    fwmark: fwmark && hex(fwmark.mark),
    fwmask: fwmark && (fwmark.mask === 0xffffffff ? undefined : hex(fwmark.mask)),
    iif: rule.iif,
    oif: rule.oif,
    uid_start: uidRange?.first,
    uid_end: uidRange?.last,
    ipproto: ipProto && `ipproto-${ipProto}`,
    ...(rule.sport && ports("sport", rule.sport)),
    ...(rule.dport && ports("dport", rule.dport)),
    tun_id: tunnelId && Number(tunnelId),
    protocol: String(rule.protocol),
    ...action(rule.action),
  };
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}

/** What `ip` said without what is no part of a rule: whether what it names is there. */
export function comparableRule(said: Said): Said {
  const { iif_detached: _iif, oif_detached: _oif, unresolved: _goto, ...rest } = said;
  return rest;
}

function action(it: RuleAction): Said {
  switch (it.type) {
    case "table": {
      const { table, suppressPrefixLength, suppressGroup, realms } = it;
      return {
        table: String(table),
        suppress_prefixlen: suppressPrefixLength,
        suppress_ifgroup: suppressGroup === undefined ? undefined : String(suppressGroup),
        flow_from: realms === undefined ? undefined : String(realms >>> 16),
        flow_to: realms === undefined ? undefined : String(realms & 0xffff),
      };
    }
    case "l3mdev":
    case "nop":
      return { [it.type]: null };
    case "goto":
      return { goto: it.priority };
    case "blackhole":
    case "unreachable":
    case "prohibit":
      return { action: NUMBERS[it.type] };
  }
}

function prefix(name: string, { address, length }: Prefix): Said {
  const text = formatAddress(address);
  return length === 8 * address.length
    ? { [name]: text }
    : { [name]: text, [`${name}len`]: length };
}

function ports(name: string, { first, last }: Range): Said {
  return first === last ? { [name]: first } : { [`${name}_start`]: first, [`${name}_end`]: last };
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
