/** The usage follows the table; the version is what programs parse. */
import { expect, test } from "bun:test";
import { usageText, versionText } from "./daemon_help.ts";
import { FOLLOWED_VERSION } from "./release.ts";
import { daemonOptions } from "./options.ts";

test("the usage names every option but the internal one", () => {
  const text = usageText("/usr/sbin/keepalived");
  const lines = text.split("\n");
  expect(lines[0]).toBe("Usage: /usr/sbin/keepalived [OPTION...]");
  for (const { long, usage, purpose, built } of daemonOptions) {
    const found = lines.filter((line) => line.startsWith(`  ${usage} `));
    expect(found).toHaveLength(long === "config-fd" ? 0 : 1);
    if (found[0] === undefined) continue;
    expect(found[0]).toEndWith(built ? purpose : `${purpose} [not yet]`);
  }
  expect(text).toEndWith("\n");
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
});

test("purposes stand in one column", () => {
  const options = usageText("x").split("\n").filter((line) => /^ +-/.test(line));
  const columns = options.map((line) => /\S {2,}(?=[^- ])/.exec(line)?.[0].length);
  expect(columns).not.toContain(undefined);
});

const text = versionText({
  version: "0.1.0",
  date: "2026-03-09",
  kernel: "Linux 6.18.44 #1 SMP",
});

test("the first line of the version is keepalived's", () => {
  const [first = ""] = text.split("\n");
  expect(first).toMatch(/^Keepalived v(\d+\.\d+\.\d+) \(\d\d\/\d\d,\d{4}\)$/);
  expect(first).toBe(`Keepalived v${FOLLOWED_VERSION} (03/09,2026)`);
  // The second word, without its v, is what OpenStack compares.
  expect(first.split(" ")[1]?.slice(1)).toBe("2.4.3");
});

test("the version names us, the kernel, and what exporters look for", () => {
  expect(text).toContain("\nupkeep 0.1.0");
  expect(text).toContain("\nRunning on Linux 6.18.44 #1 SMP\n");
  expect(text).toMatch(/\nconfigure options: .*--enable-json/);
  expect(text).toEndWith("\n");
});
