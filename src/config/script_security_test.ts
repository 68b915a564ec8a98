/** What is said of scripts that nobody asked to be checked. */
import { expect, test } from "bun:test";
import { load } from "./load.ts";
import { scriptProblems } from "./script_security.ts";
import { memoryWorld, type Owned } from "./world.ts";

const ROOTS: Owned = { kind: "file", uid: 0, gid: 0, mode: 0o755 };

function messages(
  line: string,
  globals = "",
  owned: Readonly<Record<string, Owned>> = { "/opt/x": ROOTS },
  users: Readonly<Record<string, number>> = { root: 0 },
): readonly string[] {
  const text = `global_defs {\n${globals}\n}\nvrrp_instance a {\n${line}\n}\n`;
  const texts = Object.fromEntries(Object.keys(owned).map((path) => [path, ""]));
  const world = memoryWorld({ "/k": text, ...texts }, { owned, users });
  const { written, config } = load("/k", world, "test");
  return scriptProblems(written, config.globals, world).map(({ kind, message }) =>
    `${kind}: ${message}`
  );
}

const UNCHECKED =
  "security: SECURITY VIOLATION - scripts are being executed but script_security not enabled.";

test("a script that exists and is not checked is a matter of security", () => {
  expect(messages("priority 5")).toEqual([]);
  expect(messages("notify /opt/x")).toEqual([UNCHECKED]);
  expect(messages("notify \"'/opt/x a b'\"")).toEqual([]);
  expect(messages("notify /opt/none")).toEqual([]);
  expect(messages("notify /opt/x nobody")).toEqual([]);
  expect(messages("notify /opt/x root")).toEqual([UNCHECKED]);
});

test("one that others may change is said to be there", () => {
  const open = { "/opt/x": { ...ROOTS, mode: 0o777 } };
  const others = { "/opt/x": { ...ROOTS, uid: 1000 } };
  const all = [`${UNCHECKED} There are insecure scripts.`];
  expect(messages("notify /opt/x", "", open)).toEqual(all);
  expect(messages("notify /opt/x", "", others)).toEqual(all);
});

test("checked scripts need somebody to run them", () => {
  const missing = ["general: Unable to set default user keepalived_script for script"];
  expect(messages("notify /opt/x", "enable_script_security")).toEqual(missing);
  expect(messages("notify /opt/x root", "enable_script_security")).toEqual([]);
  expect(messages("notify /opt/x", "enable_script_security\nscript_user root")).toEqual([]);
  expect(messages("notify /opt/x", "script_user nobody")).toEqual([
    "general: Error setting global script uid/gid",
    ...missing,
  ]);
  const users = { root: 0, keepalived_script: 999 };
  expect(messages("notify /opt/x", "enable_script_security", undefined, users)).toEqual([]);
});

test("what a shell is asked to open is no script that is missing", () => {
  const script = (text: string): string =>
    `}\nvrrp_script s {\nscript "${text}"\n}\nvrrp_instance b {`;
  expect(messages(script("</dev/tcp/127.0.0.1/443"))).toEqual([]);
  expect(messages(script("<nothing"))).toEqual([
    "general: Disabling track script s since not found/accessible",
  ]);
});

test("a check that nobody known is to run is dropped", () => {
  const blocks = "}\nvrrp_script s {\nscript /opt/x\nuser nobody\n}\n" +
    "virtual_server 10.0.0.1 80 {\nreal_server 10.0.0.2 80 {\nMISC_CHECK {\nmisc_path /opt/x\n" +
    "user nobody\n}\n}\n}\nvrrp_instance b {";
  expect(messages(blocks)).toEqual([
    "general: Unable to set uid/gid for script '/opt/x'",
    "general: Failed to set uid/gid for misc checker script '/opt/x' - removing",
  ]);
  expect(messages(blocks.replaceAll("nobody", "root"))).toEqual([UNCHECKED]);
});
