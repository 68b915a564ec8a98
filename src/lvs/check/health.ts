/**
 * What one attempt of a check after the other makes of its server: the retry machine that all checks with a
 * schedule share. A check walks through its steps in order, one an attempt (only those of web pages have more
 * than one); a failed step is tried again until it passes.
 *
 * At the start, and at each start over after a change of the check, the first failure counts at once. Later a
 * check that is up fails with the failure that finds no extra attempt left. On the way up every step must
 * have passed since the last failure.
 */

import type { CheckTiming } from "../../config/lvs.ts";

/** When a check goes on, and what it takes. */
export interface HealthRules
  extends Pick<CheckTiming, "retry" | "delay_before_retry" | "delay_loop"> {
  /** At least 1. */
  readonly steps: number;
  /** No pause between steps at the start and on the way up. */
  readonly fast_recovery: boolean;
}

/** What is known of a server by one check. */
export interface Health {
  readonly isUp: boolean;
  /** It is no guess: all steps have passed since the start, or one has failed. */
  readonly isKnown: boolean;
  /** The step that comes next. */
  readonly step: number;
  /** Steps that have passed since the start or the last failure; counted until it is up and known. */
  readonly passed: number;
  /** Failures in a row while up. */
  readonly failures: number;
}

/** What an attempt has changed. */
export type HealthNews =
  /** Nothing: it was up, and is. */
  | "fine"
  /** A step of several on the way up has passed. */
  | "progress"
  /** It is up: it was guessed before, or it was down. */
  | "up"
  /** A step has failed and will be tried again before anything follows from it. */
  | "retry"
  /** It is down, and was up or guessed before. */
  | "down"
  /** It was down, and is. */
  | "still down";

/** The outcome of an attempt. */
export interface Judged {
  readonly health: Health;
  /** From the end of this attempt to the start of the next. */
  readonly pauseUs: number;
  readonly news: HealthNews;
}

/** A check of which nothing is known yet; `isUp` is what is guessed, down under alpha. */
export function newHealth(isUp: boolean): Health {
  return isUp ? GUESSED_UP : GUESSED_DOWN;
}

// What most of thousands of checks are.
const GUESSED_UP: Health = { isUp: true, isKnown: false, step: 0, passed: 0, failures: 0 };
const GUESSED_DOWN: Health = { ...GUESSED_UP, isUp: false };
const WELL: Health = { ...GUESSED_UP, isKnown: true };

/** What an attempt at the next step makes of a check. */
export function judge(rules: HealthRules, health: Health, hasPassed: boolean): Judged {
  return hasPassed ? pass(rules, health) : fail(rules, health);
}

function pass(rules: HealthRules, health: Health): Judged {
  const { steps, delay_loop, fast_recovery } = rules;
  const { isUp, isKnown } = health;
  const step = (health.step + 1) % steps;
  if (isUp && isKnown) {
    return settled(health, { ...health, step, failures: 0 }, delay_loop, "fine");
  }
  const passed = health.passed + 1;
  if (passed < steps) {
    const pauseUs = fast_recovery ? 0 : delay_loop;
    return { health: { ...health, step, passed, failures: 0 }, pauseUs, news: "progress" };
  }
  return { health: step === 0 ? WELL : { ...WELL, step }, pauseUs: delay_loop, news: "up" };
}

/** A steady check makes no new object: there are thousands of them. */
function settled(before: Health, after: Health, pauseUs: number, news: HealthNews): Judged {
  const isSame = before.step === after.step && before.failures === after.failures;
  return { health: isSame ? before : after, pauseUs, news };
}

function fail(rules: HealthRules, health: Health): Judged {
  const { retry, delay_before_retry, delay_loop } = rules;
  const { isUp, isKnown, step, failures } = health;
  if (isUp && isKnown && failures < retry) {
    const health = { isUp, isKnown, step, passed: 0, failures: failures + 1 };
    return { health, pauseUs: delay_before_retry, news: "retry" };
  }
  const down: Health = { isUp: false, isKnown: true, step, passed: 0, failures: 0 };
  const news = isUp || !isKnown ? "down" : "still down";
  return { health: down, pauseUs: delay_loop, news };
}
