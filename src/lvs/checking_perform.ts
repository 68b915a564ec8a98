/** The checks of the role: the probes, what they are told from outside, and what the pools are told by them. */

import type { Loop } from "../loop.ts";
import type { FromCheckers, ToCheckers } from "../parent/checkers_channel.ts";
import { OwnAddresses } from "./addresses_perform.ts";
import type { CheckGlobals } from "./changes.ts";
import type { ProgramEnd } from "./check/misc.ts";
import { dependsOnAddresses, plannedChecks, type Services, WeightSums } from "./checking.ts";
import { Probes } from "./probe_perform.ts";
import type { Finding } from "./quorum.ts";

/** What the checks work with. */
export interface CheckingParts {
  readonly loop: Loop;
  /** The virtual servers as they are now. */
  services(): Services;
  say(message: FromCheckers): void;
  /** A pool is to hear of a finding. */
  hear(service: string, finding: Finding): void;
}

/** All checks of the role. */
export class Checking {
  readonly #parts: CheckingParts;
  readonly #probes: Probes;
  readonly #weights = new WeightSums();
  #globals: CheckGlobals = {};
  #addresses: OwnAddresses | undefined;
  /** Whether anything may be known of any server: there were checks, or news of files or BFD. */
  isInformed = false;

  constructor(parts: CheckingParts) {
    this.#parts = parts;
    this.#probes = new Probes(parts.loop, {
      report: (result) => {
        const finding = this.#weights.findingOf(parts.services(), result);
        if (finding !== undefined) parts.hear(result.service, finding);
      },
      log: (level, text) => parts.say({ type: "log", level, text }),
      runProgram: (id, { misc_path: script, misc_timeout: timeoutUs }) =>
        parts.say({ type: "program", id, script, timeoutUs }),
      stopProgram: (id) => parts.say({ type: "stop-program", id }),
    });
  }

  /** The virtual servers have changed. */
  configure(globals: CheckGlobals | undefined): void {
    this.#globals = globals ?? this.#globals;
    const services = this.#parts.services();
    const depends = services.values().some(({ balanced }) => dependsOnAddresses(balanced.server));
    if (depends) {
      this.#addresses ??= new OwnAddresses(this.#parts.loop, () => this.#apply());
      this.#addresses.resize(this.#globals.netlinkCmd, this.#globals.netlinkMonitor);
    } else {
      this.#addresses?.close();
      this.#addresses = undefined;
    }
    this.#apply();
  }

  #apply(): void {
    const addresses = this.#addresses;
    const isHere = (address: string): boolean => addresses?.has(address) ?? true;
    const planned = plannedChecks(this.#parts.services(), this.#globals, isHere);
    this.#weights.retain(planned);
    this.#probes.apply(planned);
    this.isInformed = true;
  }

  /** Files and BFD sessions have been heard of. */
  hearTracked({ results }: Extract<ToCheckers, { type: "tracked" }>): void {
    this.isInformed = true;
    for (const { kind, name, reading } of results) {
      if (kind === "file" && typeof reading === "number") this.#probes.hearFile(name, reading);
      if (kind === "bfd" && typeof reading === "boolean") this.#probes.hearSession(name, reading);
    }
  }

  /** A program has ended. */
  hearProgram(id: number, end: ProgramEnd): void {
    this.#probes.hearProgram(id, end);
  }

  /** Checks nothing any more. */
  stop(): void {
    this.#probes.stop();
    this.#addresses?.close();
    this.#addresses = undefined;
  }
}
