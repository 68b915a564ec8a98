/**
 * Codes that scripts may rely on, and hints, for messages that are keepalived's own phrases: those stay
 * as they are, so they can be told by their words.
 */
import type { Problem } from "./problem.ts";

/** What a phrase means. */
interface Meaning {
  readonly phrase: RegExp;
  readonly code: string;
  readonly hint?: string;
}

const MEANINGS: readonly Meaning[] = [
  {
    phrase: /^Truncating auth_pass/,
    code: "auth_pass_too_long",
    hint: "only the first 8 characters count; write no more than those, on every router",
  },
  {
    phrase: /nopreempt will not work with initial state MASTER/,
    code: "nopreempt_with_master",
    hint: "write state BACKUP on every router; the highest priority wins the first election",
  },
  {
    phrase: /preempt delay will not work with initial state MASTER/,
    code: "preempt_delay_with_master",
    hint: "write state BACKUP on every router",
  },
  {
    phrase: /version 3 does not support authentication/,
    code: "auth_in_version_3",
    hint: "leave the authentication block out, or use version 2",
  },
  { phrase: /Authentication specified but no password/, code: "auth_without_password" },
  { phrase: /address family must match VRRP instance/, code: "mixed_families" },
  { phrase: /the virtual router id must be set/, code: "missing_vrid" },
  { phrase: /Unknown interface!/, code: "missing_interface" },
  { phrase: /Non-existent interface specified/, code: "bad_interface" },
  { phrase: /No VIP specified/, code: "no_vip" },
  {
    phrase: /duplicate VRID conflict|both use VRID|is currently duplicated/,
    code: "duplicate_vrid",
  },
  { phrase: /duplicate address/, code: "duplicate_address" },
  { phrase: /^VRRP parsed invalid IP/, code: "invalid_address" },
  { phrase: / not found, ignoring/, code: "unknown_name", hint: "define it before it is used" },
  { phrase: / already defined/, code: "duplicate_name", hint: "give each its own name" },
  { phrase: /advertisement interval .*(rounding|Setting to)/, code: "advert_int_adjusted" },
  { phrase: /keyword has been specified without any unicast peers/, code: "unicast_without_peers" },
  {
    phrase: /exceeds total weight of real servers/,
    code: "quorum_above_weight",
    hint: "lower quorum, or raise the weights",
  },
  { phrase: /has no real servers/, code: "no_real_servers" },
  { phrase: /specified but not configured/, code: "unknown_name" },
  { phrase: /no scheduler set/, code: "no_scheduler", hint: "add a line: lvs_sched wlc" },
  {
    phrase: /no forwarding method set/,
    code: "no_forwarding_method",
    hint: "add a line: lvs_method NAT, DR or TUN",
  },
  { phrase: /SECURITY VIOLATION/, code: "script_security" },
  { phrase: /^Config files missing|^No config files matched/, code: "file_missing" },
  { phrase: /^Configuration file .* skipping$/, code: "file_skipped" },
  { phrase: /^Line is longer than/, code: "line_too_long" },
  { phrase: /more mistakes are not shown/, code: "too_many" },
];

/** A problem with the code that scripts may rely on, and with a hint where there is one. */
export function explained(problem: Problem): Problem & { readonly code: string } {
  const meaning = MEANINGS.find(({ phrase }) => phrase.test(problem.message));
  const code = problem.code ?? meaning?.code ?? problem.kind;
  const hint = problem.hint ?? meaning?.hint;
  return { ...problem, code, ...(hint === undefined ? {} : { hint }) };
}
