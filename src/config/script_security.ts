/**
 * What keepalived says of the scripts of a configuration as a whole, and what a configuration test
 * makes its status 6 of: scripts run although nobody asked for them to be checked.
 */
import type { Globals } from "./globals.ts";
import { type Place, type Problem, problemAt, type Spot } from "./problem.ts";
import { insecureComponent, isShellTest, locate, type Mention, mentionsOf } from "./scripts.ts";
import type { World } from "./world.ts";

const NOWHERE: Spot = { file: { name: "", text: "" }, line: 0, column: 0, source: "" };

/** The problems with the scripts; none when the configuration mentions none that exists. */
export function scriptProblems(
  written: object,
  globals: Globals,
  world: World,
): readonly Problem[] {
  const mentions = mentionsOf(written);
  return [
    ...disabledScripts(mentions, world),
    ...strangers(mentions, world),
    ...unchecked(mentions, globals, world),
  ];
}

/** Track scripts that are not there. */
function disabledScripts(mentions: readonly Mention[], world: World): readonly Problem[] {
  return mentions.filter(({ keyword, script }) =>
    keyword === "script" && !isShellTest(script) && locate(script.argv[0]!, world) === undefined
  ).map(({ name, place, script }) =>
    problemOf(
      place,
      `Disabling track script ${name} since not found/accessible`,
      `there is no ${script.argv[0]}`,
    )
  );
}

/** What is checked by a script that an unknown user is to run. */
function strangers(mentions: readonly Mention[], world: World): readonly Problem[] {
  return mentions.flatMap(({ keyword, script, place }) => {
    if (isKnown(script.user, world)) return [];
    const says = UNKNOWN_USER[keyword]?.(script.argv[0]!);
    const hint = `there is no user ${script.user}`;
    return says === undefined ? [] : [problemOf(place, says, hint)];
  });
}

/** Notify scripts are silent about it. */
const UNKNOWN_USER: Readonly<Record<string, ((program: string) => string) | undefined>> = {
  script: (program) => `Unable to set uid/gid for script '${program}'`,
  misc_path: (program) => `Failed to set uid/gid for misc checker script '${program}' - removing`,
};

function unchecked(
  mentions: readonly Mention[],
  globals: Globals,
  world: World,
): readonly Problem[] {
  const { script_user, enable_script_security } = globals;
  // Looking up users takes longer than reading a small file.
  if (mentions.length === 0 && script_user === undefined) return [];
  const isUserUnknown = script_user !== undefined && !isKnown(script_user.user, world);
  const hint = "create the user, or name another one with script_user";
  const refused = isUserUnknown
    ? [
      problemAt(NOWHERE, "general", "Error setting global script uid/gid", {
        prefix: "none",
        hint,
      }),
    ]
    : [];
  const isNobody = isUserUnknown ||
    (script_user === undefined && world.userId("keepalived_script") === undefined);
  if (isNobody && (enable_script_security || isUserUnknown)) {
    const message = "Unable to set default user keepalived_script for script";
    const orphans = mentions.filter(({ script }) => script.user === undefined);
    return [...refused, ...orphans.map(({ place }) => problemOf(place, message, hint))];
  }
  if (enable_script_security) return [];
  const paths = mentions.filter(({ script }) => isKnown(script.user, world))
    .flatMap(({ script }) => locate(script.argv[0]!, world) ?? []);
  if (paths.length === 0) return [];
  const insecure = paths.find((path) => insecureComponent(path, world) !== undefined);
  const message =
    "SECURITY VIOLATION - scripts are being executed but script_security not enabled.";
  const more = insecure === undefined ? "" : " There are insecure scripts.";
  const cure = "add enable_script_security and script_user to global_defs";
  return [problemAt(NOWHERE, "security", message + more, { prefix: "none", hint: cure })];
}

function problemOf(place: Place | undefined, message: string, hint: string): Problem {
  const spot = place === undefined
    ? NOWHERE
    : { ...NOWHERE, file: { name: place.file, text: "" }, line: place.line, column: 1 };
  return problemAt(spot, "general", message, { prefix: "none", hint });
}

function isKnown(user: string | undefined, world: World): boolean {
  return user === undefined || /^[0-9]+$/.test(user) || world.userId(user) !== undefined;
}
