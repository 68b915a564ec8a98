/** What travels to the role: all of it, and what servers have in common once. */

import { expect, test } from "bun:test";
import { balancingOf, fleet, realServer, virtualServer } from "../../test/support/balancing.ts";
import { diffLvs, isAlike, type LvsChange } from "./changes.ts";
import { thin, whole } from "./likeness.ts";

const TCP = "TCP_CHECK {\nconnect_timeout 3\n}\n";
const WEB = `HTTP_GET {
url {\npath /a\nstatus_code 200\n}
url {\npath /b\ndigest 0123456789abcdef0123456789abcdef\nheader X-A b\n}
}
`;
const MISC = 'MISC_CHECK {\nmisc_path "/bin/true a"\n}\n';
const A = "198.51.100.1 80";
const B = "198.51.100.2 80";

function changesOf(text: string): LvsChange[] {
  return diffLvs(undefined, balancingOf(text));
}

/** As the role gets them. */
function sent(changes: readonly LvsChange[]): readonly LvsChange[] {
  return whole(JSON.parse(JSON.stringify(thin(changes))));
}

/** With all that is inherited; a value that is not there is none. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const made: Record<string, unknown> = {};
  for (const key in value) {
    const one = (value as Record<string, unknown>)[key];
    if (key !== "place" && one !== undefined) made[key] = plain(one);
  }
  return made;
}

const MIXED: Readonly<Record<string, string>> = {
  "a fleet": fleet(5, 3, TCP),
  "nothing": "",
  "checks of other kinds, none, and more of them": [
    virtualServer(realServer(A, TCP) + realServer(B, WEB), "192.0.2.1 80"),
    virtualServer(realServer(A), "192.0.2.2 80"),
    virtualServer(realServer(A, WEB + TCP) + realServer(B, MISC), "192.0.2.3 80"),
    virtualServer(
      realServer(A, TCP + TCP) + realServer(B, WEB.replace("/b", "/c")),
      "192.0.2.4 80",
    ),
  ].join(""),
  "what the model has and others have not": [
    virtualServer(
      `quorum 2\nquorum_up "/bin/true x"\nsorry_server 198.51.100.9 80\npersistence_timeout 50\n` +
        realServer(A, "notify_up /bin/true\nweight 0\n") + realServer(B),
      "192.0.2.1 80",
    ),
    virtualServer(realServer(A), "192.0.2.2 80"),
    virtualServer(realServer(A), "2001:db8::1 80").replaceAll("198.51.100.1", "2001:db8::9"),
  ].join(""),
  "settings that only later ones have": [
    virtualServer(realServer(A), "192.0.2.1 80"),
    virtualServer(realServer(A, "inhibit_on_failure\nlvs_method DR\n") + realServer(B), "fwmark 7"),
  ].join(""),
  "groups": `virtual_server_group g {\n192.0.2.7 80\n192.0.2.8-9 80\n}\n` +
    virtualServer(realServer(A, TCP), "group g") + virtualServer(realServer(B, TCP)),
};

for (const [what, text] of Object.entries(MIXED)) {
  test(`everything arrives: ${what}`, () => {
    const changes = changesOf(text);
    const arrived = sent(changes);
    expect(plain(arrived)).toEqual(plain(changes));
    expect(isAlike(arrived, changes)).toBeTrue();
    expect(isAlike(changes, arrived)).toBeTrue();
  });
}

test("removals and what holds for all are passed on as they are", () => {
  const changes = diffLvs(balancingOf(MIXED["groups"]!), balancingOf("lvs_flush\n"));
  expect(changes.length).toBe(2);
  expect(sent(changes)).toEqual(changes);
});

test("a server of a fleet costs its addresses", () => {
  const [small, large] = [100, 200].map((count) =>
    JSON.stringify(thin(changesOf(fleet(count, 4, TCP)))).length
  );
  expect((large! - small!) / 100).toBeLessThan(600);
});

test("what is like the model is the model's own", () => {
  const [, first, second] = sent(changesOf(fleet(2, 1, TCP)));
  if (first?.type !== "add" || second?.type !== "add") throw new Error("no servers");
  const [one, other] = [first, second].map(({ balanced: { server } }) => server.real_servers[0]!);
  expect(one!.lvs_method).toBe(other!.lvs_method);
  expect(Object.keys(other!)).toEqual(["address", "checks"]);
});
