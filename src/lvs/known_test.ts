/** What is kept of pools: of those that the role has, and of no others. */

import { expect, test } from "bun:test";
import { balancingOf, realServer, virtualServer } from "../../test/support/balancing.ts";
import { type Balancing, diffLvs, type KnownPool, type LvsChange } from "./changes.ts";
import { KnownPools } from "./known.ts";

const [ONE, TWO] = ["[192.0.2.1]:tcp:80", "[192.0.2.2]:tcp:80"];
const A = "198.51.100.1 80";
const DOWN = { failing: [0], weight: 1 };
const one = virtualServer(realServer(A));
const both = balancingOf(one + virtualServer(realServer(A), "192.0.2.2 80"));
const only = balancingOf(one);

function knownIn(changes: readonly LvsChange[]): Record<string, KnownPool | undefined> {
  return Object.fromEntries(
    changes.flatMap((one) => one.type === "add" ? [[one.key, one.known]] : []),
  );
}

/** All pools of a configuration, one of them with something to tell. */
function heard(config: Balancing): KnownPools {
  const known = new KnownPools();
  known.follow(diffLvs(undefined, config));
  known.hear({ type: "health", key: ONE!, server: A, health: DOWN });
  return known;
}

const fresh = (config: Balancing): LvsChange[] => diffLvs(undefined, config);

test("what was told is told to who comes next, and again to the one after", () => {
  const known = heard(both);
  const expected = { hasQuorum: false, servers: { [A]: DOWN } };
  expect(knownIn(known.brief(fresh(both)))).toEqual({ [ONE!]: expected, [TWO!]: undefined });
  known.hear({ type: "quorum", key: TWO!, isUp: true });
  expect(knownIn(known.brief(fresh(both)))).toEqual({
    [ONE!]: expected,
    [TWO!]: { hasQuorum: true, servers: {} },
  });
  known.hear({ type: "health", key: ONE!, server: A });
  expect(knownIn(known.brief(fresh(both)))[ONE!]).toEqual({ hasQuorum: false, servers: {} });
});

test("what is configured no more is forgotten, whatever is still heard of it", () => {
  const known = heard(both);
  known.follow(diffLvs(both, balancingOf("")));
  known.hear({ type: "quorum", key: ONE!, isUp: true });
  known.hear({ type: "health", key: ONE!, server: A, health: DOWN });
  expect(knownIn(known.brief(fresh(both)))).toEqual({ [ONE!]: undefined, [TWO!]: undefined });
});

test("a service that goes and comes back starts anew", () => {
  const known = heard(only);
  known.follow([...diffLvs(only, balancingOf("")), ...fresh(only)]);
  expect(knownIn(known.brief(fresh(only)))).toEqual({ [ONE!]: undefined });
  const cleared = heard(only);
  cleared.clear();
  expect(knownIn(cleared.brief(fresh(only)))).toEqual({ [ONE!]: undefined });
});

test("a reload while there is no role: what stays keeps what is known, what goes is sent along to go", () => {
  const known = heard(both);
  known.hear({ type: "quorum", key: TWO!, isUp: true });
  const changes = known.brief([...fresh(both), ...diffLvs(both, only)]);
  expect(knownIn(changes)[TWO!]).toEqual({ hasQuorum: true, servers: {} });
  expect(changes.at(-1)).toEqual({ type: "remove", key: TWO! });
  expect(knownIn(known.brief(fresh(both)))[TWO!]).toBeUndefined();
});
