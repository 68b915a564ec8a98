/** Who is told of a change of state: scripts in order, FIFOs, and that nobody can delay an advert. */
import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Capture } from "../support/capture.ts";
import { instance } from "../support/configs.ts";
import { Daemon, isAlive, UPKEEP } from "../support/daemon.ts";
import { Fifo } from "../support/fifo.ts";
import { Network, WIRE } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

/** A folder with a script that notes what it was called with. */
class Notes {
  readonly folder = mkdtempSync(join(tmpdir(), "upkeep-notify-"));
  readonly script = join(this.folder, "note.sh");
  readonly #file = join(this.folder, "notes");

  constructor(body = "") {
    const line = '"$* [$UPKEEP_INSTANCE $UPKEEP_STATE $UPKEEP_PREVIOUS $UPKEEP_PRIORITY]"';
    writeFileSync(this.script, `#!/bin/sh\necho ${line} >>${this.#file}\n${body}\n`);
    chmodSync(this.script, 0o755);
  }

  get lines(): readonly string[] {
    if (!existsSync(this.#file)) return [];
    return readFileSync(this.#file, "utf8").split("\n").filter((line) => line !== "");
  }

  async has(count: number): Promise<void> {
    await poll(() => this.lines.length >= count, 5000, `fewer than ${count} notes`);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

test("scripts are told of each change, the state's own one first", async () => {
  using network = new Network(["left"]);
  using notes = new Notes();
  const lines = [
    `notify_master "${notes.script} own master"`,
    `notify_fault "${notes.script} own fault"`,
    `notify_stop "${notes.script} 'own stop' there"`,
    `notify ${notes.script}`,
  ];
  await using daemon = new Daemon(
    network,
    "left",
    instance({ priority: 255, state: "MASTER", more: lines.join("\n") }),
  );
  await notes.has(2);
  network.run("left", "ip", "link", "set", "eth0", "down");
  await notes.has(4);
  network.run("left", "ip", "link", "set", "eth0", "up");
  await notes.has(7);
  expect(await daemon.stop()).toBe(0);
  const master = [
    "own master [V MASTER INIT 255]",
    "INSTANCE V MASTER 255 [V MASTER INIT 255]",
  ];
  expect(notes.lines).toEqual([
    ...master,
    "own fault [V FAULT MASTER 255]",
    "INSTANCE V FAULT 255 [V FAULT MASTER 255]",
    "INSTANCE V BACKUP 255 [V BACKUP FAULT 255]",
    ...master.map((line) => line.replace("MASTER INIT", "MASTER BACKUP")),
    "own stop there [V STOP MASTER 255]",
    "INSTANCE V STOP 255 [V STOP MASTER 255]",
  ]);
});

test("an instance that a reload removes is in FAULT, or deleted where that is asked for", async () => {
  using network = new Network(["left"]);
  using notes = new Notes();
  const notify = `notify ${notes.script}`;
  const kept = instance({ priority: 255, state: "MASTER", more: notify });
  const gone = (name: string, vrid: number, line: string): string =>
    instance({
      name,
      vrid,
      priority: 255,
      state: "MASTER",
      addresses: [`10.0.0.${vrid}/32`],
      more: `${notify}\n${line}`,
    });
  const all = kept + gone("plain", 101, "") + gone("told", 102, "notify_deleted");
  await using daemon = new Daemon(network, "left", all);
  await notes.has(3);
  daemon.rewrite(kept);
  daemon.signal("SIGHUP");
  await notes.has(5);
  expect([...notes.lines.slice(3)].sort()).toEqual([
    "INSTANCE plain FAULT 255 [plain FAULT MASTER 255]",
    "INSTANCE told DELETED 255 [told DELETED MASTER 255]",
  ]);
});

test("a FIFO gets a line for each change, and its reader is started and ended", async () => {
  using network = new Network(["left"]);
  using notes = new Notes();
  const fifo = join(notes.folder, "fifo");
  const seen = join(notes.folder, "seen");
  const reader = join(notes.folder, "reader.sh");
  writeFileSync(reader, `#!/bin/sh\nexec cat "$1" >>${seen}\n`);
  chmodSync(reader, 0o755);
  const globals = `global_defs {\nvrrp_notify_fifo ${fifo}\nvrrp_notify_fifo_script ${reader}\n}\n`;
  await using daemon = new Daemon(
    network,
    "left",
    globals + instance({ priority: 255, state: "MASTER" }),
  );
  await poll(() => existsSync(seen) && readFileSync(seen, "utf8") !== "", 5000, "nothing read");
  expect(readFileSync(seen, "utf8")).toBe('INSTANCE "V" MASTER 255\n');
  expect(await daemon.stop()).toBe(0);
  expect(existsSync(fifo)).toBeFalse();
});

test("a script that is not to be trusted is refused with the path component that is to blame", async () => {
  using network = new Network(["left"]);
  using notes = new Notes();
  chmodSync(notes.folder, 0o777);
  const globals = "global_defs {\nenable_script_security\nscript_user root\n}\n";
  const lines = [`notify ${notes.script}`];
  await using daemon = new Daemon(
    network,
    "left",
    globals + instance({ priority: 255, state: "MASTER", more: lines.join("\n") }),
  );
  const { text } = await daemon.waitForLog("is not run");
  expect(text).toContain(`${notes.folder} (owner root, mode 0777) can be changed by others`);
  expect(text).toContain(`chmod go-w ${notes.folder}`);
  expect(notes.lines).toEqual([]);
});

test("a script that takes its time delays no advert, and the next one after five seconds", async () => {
  using network = new Network(["left"]);
  using notes = new Notes("[ $1 = slow ] && exec sleep 30");
  const lines = [`notify_master "${notes.script} slow"`, `notify "${notes.script} next"`];
  const config = instance({
    priority: 255,
    state: "MASTER",
    interval: 0.05,
    more: lines.join("\n"),
  });
  await using daemon = new Daemon(network, "left", config);
  await notes.has(1);
  await using capture = await Capture.start(network);
  await daemon.waitForLog("the next one starts beside it", 8000);
  await notes.has(2);
  const adverts = capture.adverts.map(({ atUs }) => atUs);
  const gaps = adverts.slice(1).map((at, i) => at - adverts[i]!);
  expect(gaps.length).toBeGreaterThan(70);
  // A peer waits for more than three intervals.
  expect(Math.max(...gaps)).toBeLessThan(150_000);
});

test("a script is told why, and by whom", async () => {
  using network = new Network(["left", "right"]);
  using notes = new Notes('echo "why: $UPKEEP_REASON; peer: $UPKEEP_PEER" >>"${0%/*}/notes"');
  const more = `notify ${notes.script}\ntrack_interface {\neth0\n}`;
  await using left = new Daemon(network, "left", instance({ priority: 100, more }));
  await left.waitForLog("Entering MASTER STATE");
  await using right = new Daemon(network, "right", instance({ priority: 200 }));
  await right.waitForLog("Entering MASTER STATE");
  await left.waitForLog("Entering BACKUP STATE");
  await notes.has(6);
  network.run("left", "ip", "link", "set", "eth0", "down");
  await notes.has(8);
  expect(notes.lines.filter((line) => line.startsWith("why"))).toEqual([
    "why: started; peer: ",
    "why: Receive advertisement timeout; peer: ",
    "why: Master received advert from 10.0.0.2 with higher priority 200, ours 100; peer: 10.0.0.2",
    "why: interface eth0 is down; peer: ",
  ]);
});

test("a MASTER tells of adverts of lower priority, its script one at a time", async () => {
  using network = new Network(["left", "right"]);
  using notes = new Notes("sleep 1");
  const fifo = new Fifo();
  await using _closing = { [Symbol.asyncDispose]: () => fifo.close() };
  const config = `global_defs {\nvrrp_notify_fifo ${fifo.path}\n}\n` +
    instance({ priority: 200, more: `notify_master_rx_lower_pri "${notes.script} low"` });
  await using left = new Daemon(network, "left", config);
  await left.waitForLog("Entering MASTER STATE");
  // It hears nothing, and is heard.
  network.run(WIRE, ..."bridge link set dev to-right mcast_flood off".split(" "));
  await using right = new Daemon(network, "right", instance({ priority: 100 }));
  await right.waitForLog("Entering MASTER STATE");
  const line = 'INSTANCE "V" MASTER_RX_LOWER_PRI 200';
  await fifo.has(line, 13);
  await notes.has(2);
  await right.crash();
  const heard = fifo.lines.filter((one) => one === line).length;
  expect(notes.lines[0]).toBe("low [V MASTER_RX_LOWER_PRI MASTER 200]");
  expect(notes.lines.length).toBeLessThan(heard / 3);
});

test("the startup script comes before everything, the shutdown script after", async () => {
  using network = new Network(["left"]);
  using notes = new Notes("sleep 0.3");
  const globals = `global_defs {
startup_script "${notes.script} begin"
shutdown_script "${notes.script} end"
}
`;
  const more = `notify ${notes.script}`;
  const own = instance({ priority: 255, state: "MASTER", more });
  await using left = new Daemon(network, "left", globals + own);
  await left.waitForLog("startup script script succeeded");
  expect(left.log).not.toContain("Entering");
  await left.waitForLog("Entering MASTER STATE");
  await notes.has(2);
  expect(await left.stop()).toBe(0);
  const words = notes.lines.map((line) => line.split(" [")[0]);
  expect(words).toEqual(["begin", "INSTANCE V MASTER 255", "INSTANCE V STOP 255", "end"]);
  await left.waitForLog("shutdown script script succeeded");
  await left.waitForLog("Stopped");
});

test("a startup script that hangs is ended, and one that fails changes nothing", async () => {
  using network = new Network(["left"]);
  using notes = new Notes("[ $1 = hang ] && exec sleep 60; exit 3");
  const globals = (word: string): string =>
    `global_defs {
startup_script "${notes.script} ${word}"
startup_script_timeout 1
}
`;
  await using left = new Daemon(network, "left", globals("hang") + instance());
  await left.waitForLog("startup script timed out");
  await left.waitForLog("Entering BACKUP STATE");
  expect(await left.stop()).toBe(0);
  await using second = new Daemon(network, "left", globals("fail") + instance());
  await second.waitForLog("startup script script failed, status 3");
  await second.waitForLog("Entering BACKUP STATE");
  expect(await second.stop()).toBe(0);
  await using third = new Daemon(network, "left", globals("hang") + instance());
  await notes.has(3);
  expect(await third.stop()).toBe(0);
  expect(third.log).not.toContain("Entering");
});

test("a script gets all groups of its user where that is asked for, and nothing of ours", async () => {
  using network = new Network(["left"]);
  using notes = new Notes(
    '{ id -u; id -G; umask; grep -E "Sig(Blk|Ign)" /proc/self/status; ' +
      'env | grep -E "UPKEEP_(ROLE|EXEC)"; } >>"${0%/*}/notes"',
  );
  chmodSync(notes.folder, 0o777);
  const globals = "global_defs {\nset_supplementary_groups\nscript_user nobody\n}\n";
  const own = instance({ priority: 255, state: "MASTER", more: `notify "${notes.script} it"` });
  await using daemon = new Daemon(network, "left", globals + own);
  await notes.has(6);
  const [call, uid, groups, umask, blocked, ignored, ...rest] = notes.lines;
  expect(call).toBe("it INSTANCE V MASTER 255 [V MASTER INIT 255]");
  const id = (...words: string[]): string =>
    Bun.spawnSync(["id", ...words]).stdout.toString().trim();
  expect([uid, groups]).toEqual([id("-u", "nobody"), id("-G", "nobody")]);
  expect(umask).toBe("0177");
  expect([blocked, ignored]).toEqual(["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"]);
  expect(rest).toEqual([]);
  // Groups that no user of this machine need have.
  const task = {
    argv: ["called", "-G"],
    path: "/usr/bin/id",
    uid: 65_534,
    gid: 65_533,
    groups: [4, 65_531],
  };
  const env = { ...process.env, UPKEEP_ROLE: "exec", UPKEEP_EXEC: JSON.stringify(task) };
  expect(Bun.spawnSync([UPKEEP], { env }).stdout.toString()).toBe("65533 4 65531\n");
  expect(await daemon.stop()).toBe(0);
});

test("notify_timeout ends a script that takes too long, and the next one starts", async () => {
  using network = new Network(["left"]);
  using notes = new Notes("[ $1 = slow ] && exec sleep 60");
  const more = `notify_master "${notes.script} slow"\nnotify "${notes.script} next"`;
  const config = "global_defs {\nnotify_timeout 0.3\n}\n" +
    instance({ priority: 255, state: "MASTER", more });
  await using daemon = new Daemon(network, "left", config);
  await daemon.waitForLog("is ended: it has run for 0.3 s");
  await daemon.waitForLog("ended with signal SIGTERM");
  await notes.has(2);
  expect(daemon.log).not.toContain("starts beside it");
});

test("after a reload the FIFO is told all states again where that is asked for", async () => {
  using network = new Network(["left"]);
  const fifo = new Fifo();
  await using _closing = { [Symbol.asyncDispose]: () => fifo.close() };
  const config = (priority: number, flag = "fifo_write_vrrp_states_on_reload"): string =>
    `global_defs {\nvrrp_notify_fifo ${fifo.path}\n${flag}\n}\n` +
    "vrrp_sync_group G {\ngroup {\nV\n}\n}\n" + instance({ priority });
  await using daemon = new Daemon(network, "left", config(100));
  await fifo.has('GROUP "G" MASTER 0');
  const before = fifo.lines.length;
  daemon.rewrite(config(90));
  daemon.signal("SIGHUP");
  await fifo.has('INSTANCE "V" MASTER 90');
  expect(fifo.lines.slice(before)).toEqual(['GROUP "G" MASTER 0', 'INSTANCE "V" MASTER 90']);
  daemon.rewrite(config(80, ""));
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload complete");
  await daemon.waitForLog("Reload complete");
  expect(await daemon.stop()).toBe(0);
  await fifo.has('INSTANCE "V" STOP 80');
  expect(fifo.lines.slice(before + 2)).toEqual(['INSTANCE "V" STOP 80', 'GROUP "G" STOP 0']);
});

test("the last scripts do not wait for one that hangs, and no check outlives the daemon", async () => {
  using network = new Network(["left"]);
  using notes = new Notes("[ $1 = hang ] && exec sleep 60");
  const deaf = join(notes.folder, "deaf.sh");
  writeFileSync(
    deaf,
    `#!/bin/sh\ntrap "" TERM\necho $$ >${notes.folder}/pid\nwhile :; do sleep 0.1; done\n`,
  );
  chmodSync(deaf, 0o755);
  const check = `vrrp_script check {\nscript ${deaf}\ntimeout 30\nweight 1\n}\n`;
  const more = `track_script {\ncheck\n}\nnotify_master "${notes.script} hang"\n` +
    `notify_stop "${notes.script} own stop"\nnotify ${notes.script}`;
  await using left = new Daemon(
    network,
    "left",
    check + instance({ priority: 200, more }),
  );
  await notes.has(2);
  await poll(() => existsSync(join(notes.folder, "pid")), 5000, "the check does not run");
  const pid = Number(readFileSync(join(notes.folder, "pid"), "utf8"));
  const startedAt = performance.now();
  expect(await left.stop()).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(3000);
  await notes.has(5);
  expect(notes.lines.map((line) => line.split(" [")[0]).sort()).toEqual([
    "INSTANCE V BACKUP 200",
    "INSTANCE V MASTER 200",
    "INSTANCE V STOP 200",
    "hang",
    "own stop",
  ]);
  await poll(() => !isAlive(pid), 2000, "the check runs on");
});

test("scripts get the umask that is asked for, no descriptors, and no terminal", async () => {
  using network = new Network(["left"]);
  using notes = new Notes(
    'umask >>"${0%/*}/notes"; sh -c "readlink /proc/$$/fd/* >>${0%/*}/notes"; ' +
      'echo end >>"${0%/*}/notes"',
  );
  const own = instance({ priority: 255, state: "MASTER", more: `notify "${notes.script} it"` });
  const globals = "global_defs {\nscript_user root\numask 027\n}\n";
  await using left = new Daemon(network, "left", globals + own, {
    environment: { IFS: "x", LD_PRELOAD: "", LD_LIBRARY_PATH: "/nowhere" },
  });
  await poll(() => notes.lines.includes("end"), 5000, "no end");
  expect(notes.lines[1]).toBe("0027");
  // The shell has its script open itself.
  const open = notes.lines.slice(2, -1).filter((line) => !line.endsWith(notes.script));
  expect(open).toEqual(["/dev/null", "/dev/null", "/dev/null"]);
  expect(await left.stop()).toBe(0);
});

test("what is wrong with scripts is said before they are needed", async () => {
  using network = new Network(["left"]);
  using notes = new Notes();
  const missing = join(notes.folder, "missing.sh");
  const open = join(notes.folder, "open.sh");
  writeFileSync(open, "#!/bin/sh\n");
  chmodSync(open, 0o777);
  const more = `notify_fault ${missing}\nnotify_stop ${open}\nnotify_deleted "true x"`;
  const globals = (line: string): string => `global_defs {\nscript_user root\n${line}\n}\n`;
  await using left = new Daemon(network, "left", globals("") + instance({ more }));
  const { text } = await left.waitForLog("(V) notify_fault script");
  expect(text).toContain(`will not be run: there is no ${missing}`);
  const unsafe = await left.waitForLog(`Unsafe permissions found for script '${open}'`);
  expect(unsafe.text).toContain(`${open} (owner root, mode 0777) can be changed by others`);
  expect(unsafe.text).toEndWith(`(chmod go-w ${open})`);
  await left.waitForLog("script `true` resolved by path search to");
  await left.waitForLog(
    "SECURITY VIOLATION - scripts are being executed but script_security not enabled. " +
      "There are insecure scripts.",
  );
  left.rewrite(globals("enable_script_security") + instance({ more }));
  left.signal("SIGHUP");
  await left.waitForLog("notify_stop script");
  left.rewindLog();
  expect(left.log.split("SECURITY VIOLATION")).toHaveLength(2);
  // It may be made whole in time.
  writeFileSync(missing, `#!/bin/sh\nexec ${notes.script} made\n`);
  chmodSync(missing, 0o755);
  await left.waitForLog("Entering MASTER STATE");
  network.run("left", "ip", "link", "set", "eth0", "down");
  await notes.has(1);
  expect(notes.lines[0]).toStartWith("made ");
});

test("a FIFO takes names of any letters, and the end of its reader is told", async () => {
  using network = new Network(["left"]);
  using notes = new Notes();
  const seen = join(notes.folder, "seen");
  const reader = join(notes.folder, "reader.sh");
  writeFileSync(reader, `#!/bin/sh\necho $$ >${notes.folder}/pid\nexec cat "$1" >>${seen}\n`);
  chmodSync(reader, 0o755);
  const fifo = join(notes.folder, "fifo");
  const globals = `global_defs {\nscript_user root\nnotify_fifo ${fifo}\n` +
    `notify_fifo_script ${reader}\n}\n`;
  const own = instance({ name: "Zürich", priority: 255, state: "MASTER" });
  await using left = new Daemon(network, "left", globals + own);
  const line = 'INSTANCE "Zürich" MASTER 255\n';
  await poll(() => existsSync(seen) && readFileSync(seen, "utf8") === line, 5000, "not read");
  expect(statSync(fifo).mode & 0o777).toBe(0o600);
  expect(left.log).not.toContain("lost");
  process.kill(Number(readFileSync(join(notes.folder, "pid"), "utf8")), "SIGKILL");
  await left.waitForLog("notify fifo script terminated (signal SIGKILL)");
});
