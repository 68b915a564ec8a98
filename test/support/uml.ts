#!/usr/bin/env bun
/**
 * A guest with a kernel of its own that has IPVS: Debian's user-mode-linux, a kernel that is an ordinary
 * program. Its root is this machine's, read-only; what it writes to /run, /tmp and /dev/shm is its own
 * memory, and only its output comes back.
 *
 * Usage: bun test/support/uml.ts COMMAND [WORD...]
 */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The kernel. */
export const UML = "linux.uml";
/** Set inside the guest. */
export const GUEST_VARIABLE = "UPKEEP_GUEST";
/** Whether this is the guest. */
export const IN_GUEST = process.env[GUEST_VARIABLE] !== undefined;

/** Where Debian keeps the kernel's modules. */
const MODULES = "/usr/lib/uml/modules";
const MEMORY = "1500M";
/** How long the machine may take to go once its command has ended, in milliseconds. */
const POWER_OFF_MS = 5_000;

/** What the guest is to do. */
export interface GuestSettings {
  readonly command: readonly string[];
  /** The longest it may take, boot included. */
  readonly seconds: number;
  /** More variables for the command. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Ends it before its time. */
  readonly signal?: AbortSignal;
  /** Gets the command's output as it comes. */
  readonly onOutput?: (text: string) => void;
}

/** What became of it. */
export interface GuestResult {
  /** The command's exit status; 1 when the guest never got that far. */
  readonly status: number;
  /** What the command wrote, and the console's last lines when it did not end by itself. */
  readonly output: string;
}

/** Boots a guest, runs a command there from this folder as root, and takes the guest down again. */
export async function runInGuest(settings: GuestSettings): Promise<GuestResult> {
  const folder = mkdtempSync(join(tmpdir(), `upk-uml-${process.pid}-`));
  try {
    const init = join(folder, "init");
    writeFileSync(init, initScript(folder, settings), { mode: 0o755 });
    for (const name of ["output", "status"]) writeFileSync(join(folder, name), "");
    const child = Bun.spawn([
      UML,
      `mem=${MEMORY}`,
      "root=/dev/root",
      "rootfstype=hostfs",
      "rootflags=/",
      "ro",
      `init=${init}`,
      `uml_dir=${folder}`,
      "con=null",
      "con0=null,fd:1",
      "quiet",
    ], {
      stdin: "ignore",
      stdout: Bun.file(join(folder, "console")),
      stderr: "ignore",
      // A group of its own: the kernel is several processes, and each process of the guest one more.
      detached: true,
      timeout: settings.seconds * 1000,
      ...(settings.signal === undefined ? {} : { signal: settings.signal }),
      killSignal: "SIGKILL",
    });
    await follow(folder, child, settings.onOutput);
    tryKillGroup(child.pid);
    const status = readFileSync(join(folder, "status"), "utf8").trim();
    const output = readFileSync(join(folder, "output"), "utf8");
    if (status !== "") return { status: Number(status), output };
    const said = readFileSync(join(folder, "console"), "utf8").split("\n").slice(-20).join("\n");
    return { status: 1, output: `${output}\nThe guest did not finish; its console:\n${said}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Hands on the output until the machine is off, or has not gone off when it should have. */
async function follow(
  folder: string,
  child: Bun.Subprocess,
  onOutput: GuestSettings["onOutput"],
): Promise<void> {
  let shown = 0;
  const show = (): void => {
    const bytes = readFileSync(join(folder, "output"));
    if (bytes.length > shown) onOutput?.(bytes.subarray(shown).toString());
    shown = bytes.length;
  };
  let doneAt: number | undefined;
  while (child.exitCode === null && child.signalCode === null) {
    await Promise.race([child.exited, Bun.sleep(100)]);
    show();
    if (readFileSync(join(folder, "status"), "utf8") !== "") doneAt ??= performance.now();
    if (doneAt !== undefined && performance.now() - doneAt > POWER_OFF_MS) return;
  }
}

function tryKillGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}

/** The guest's first process. */
function initScript(folder: string, { command, environment = {} }: GuestSettings): string {
  const variables = { [GUEST_VARIABLE]: "1", PATH: process.env["PATH"] ?? "", ...environment };
  const exports = Object.entries(variables).map(([name, value]) =>
    `export ${name}=${quote(value)}`
  );
  return `#!/bin/sh
${exports.join("\n")}
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin" HOME=/root LC_ALL=C TZ=UTC
mount -t proc proc /proc 2>/dev/null
mount -t sysfs sys /sys 2>/dev/null
mount -t tmpfs run /run
mkdir -p /run/out /run/netns /run/upper /run/work /dev/pts /dev/shm
mount -t hostfs -o ${quote(folder)} none /run/out
exec >/run/out/output 2>&1 </dev/null
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
ln -sfn /proc/self/fd /dev/fd
mkdir -p /run/root/lib && ln -sfn ${MODULES} /run/root/lib/modules
printf '#!/bin/sh\\nexec /sbin/modprobe -d /run/root "$@"\\n' >/run/modprobe
chmod 755 /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
/run/modprobe -a overlay ipv6 ip_vs dummy veth 2>/dev/null
mount -t overlay -o lowerdir=/tmp,upperdir=/run/upper,workdir=/run/work overlay /tmp
ip link set lo up
cd ${quote(process.cwd())}
${command.map(quote).join(" ")}
echo $? >/run/out/status
sync
echo o >/proc/sysrq-trigger
sleep 60
`;
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Why this machine cannot have a guest; undefined when it can. */
export function guestObstacle(): string | undefined {
  if (Bun.which(UML) === null) return `needs ${UML}`;
  return existsSync(MODULES) ? undefined : `needs ${MODULES}`;
}

if (import.meta.main) {
  const [, , ...command] = process.argv;
  // Who started us has lost patience: nothing of the guest may stay.
  const end = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => end.abort());
  const { status, output } = await runInGuest({
    command,
    seconds: 720,
    signal: end.signal,
    onOutput: (text) => void writeSync(1, text),
  });
  if (status !== 0 && output.includes("The guest did not finish")) {
    writeSync(1, output.slice(-2000));
  }
  process.exitCode = status;
}
