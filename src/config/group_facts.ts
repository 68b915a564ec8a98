/** What the entries of a virtual_server_group have in common, worked out once for all its services. */
import type { VirtualServerGroup } from "./lvs.ts";

/** Facts about the entries of a group. */
export interface GroupFacts {
  readonly hasMarks: boolean;
  /** There is nothing but firewall marks in it. */
  readonly onlyMarks: boolean;
  /** Of the first entry that has one; 0 when none has. */
  readonly family: 0 | 4 | 6;
  readonly isMixed: boolean;
  /** The ports of its addresses, each once. */
  readonly ports: ReadonlySet<number>;
}

const NO_GROUP: GroupFacts = {
  hasMarks: false,
  onlyMarks: false,
  family: 0,
  isMixed: false,
  ports: new Set(),
};
const KNOWN = new WeakMap<VirtualServerGroup, GroupFacts>();

/** The facts about a group; those of an empty one when there is none. */
export function factsOf(group: VirtualServerGroup | undefined): GroupFacts {
  if (group === undefined) return NO_GROUP;
  let facts = KNOWN.get(group);
  if (facts === undefined) KNOWN.set(group, facts = lookAt(group));
  return facts;
}

function lookAt({ entries }: VirtualServerGroup): GroupFacts {
  const ports = new Set<number>();
  let marks = 0;
  let family: 0 | 4 | 6 = 0;
  let isMixed = false;
  for (const entry of entries) {
    let own: 4 | 6 | undefined;
    if (entry.type === "fwmark") {
      marks++;
      own = entry.family;
    } else {
      ports.add(entry.port);
      own = (entry.type === "address" ? entry.address : entry.first).includes(":") ? 6 : 4;
    }
    if (own === undefined) continue;
    if (family === 0) family = own;
    else if (family !== own) isMixed = true;
  }
  return { hasMarks: marks > 0, onlyMarks: marks === entries.length, family, isMixed, ports };
}
