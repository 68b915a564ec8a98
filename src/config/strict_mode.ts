/** `strict_mode`: the settings of an instance corrected to the letter of the protocol. */
import type { Say } from "./problem.ts";
import type { VrrpInstance } from "./vrrp.ts";
import type { WrittenInstance } from "./vrrp_keywords.ts";

const OWNER = 255;

/** The instance as strict mode has it; each correction is said. */
export function applyStrictMode(
  instance: VrrpInstance,
  written: WrittenInstance,
  say: Say,
): VrrpInstance {
  const { version, priority } = instance;
  const isOwner = priority === OWNER;
  if ((instance.state === "MASTER") !== isOwner) {
    say("State MASTER must match being address owner");
  }
  const { authentication: dropped, ...open } = instance;
  if (dropped !== undefined) say("Strict mode does not support authentication. Ignoring.");
  if (instance.preempt_delay > 0) say("preempt_delay is incompatible with strict mode - resetting");
  if (instance.down_timer_adverts !== undefined) {
    say("down_timer_adverts is incompatible with strict mode - resetting");
  }
  const repeats = (written.garp_lower_prio_repeat ?? 0) > 0 ||
    (written.garp_lower_prio_delay ?? 0) > 0;
  if (repeats) say("Strict mode requires no repeat garps. resetting");
  if (written.lower_prio_no_advert === false) {
    say("Strict mode requires no lower priority advert. resetting");
  }
  if (instance.higher_prio_send_advert === true) {
    say("strict mode requires higher_prio_send_advert to be clear. resetting");
  }
  if (instance.vmac_xmit_base === true) {
    say("xmit_base is incompatible with strict mode - resetting");
  }
  if (instance.use_vmac?.mac !== undefined) {
    say("cannot specify MAC address with strict mode - clearing");
  }
  if (instance.no_virtual_ipaddress === true) {
    say("no_virtual_ipaddress is incompatible with strict mode - resetting");
  }
  if (version === 2 && written.accept === true) {
    say("warning - accept mode for VRRP version 2 does not comply with RFC3768 - resetting");
  }
  const { down_timer_adverts: _, higher_prio_send_advert: __, ...kept } = open;
  const { vmac_xmit_base: ___, no_virtual_ipaddress: ____, ...rest } = kept;
  return {
    ...rest,
    state: isOwner ? "MASTER" : "BACKUP",
    preempt_delay: 0,
    garp_lower_prio_repeat: 0,
    garp_lower_prio_delay: 0,
    lower_prio_no_advert: true,
    accept: isOwner || (version === 3 && written.accept === true),
    ...(isOwner ? { owner_ignore_adverts: true } : {}),
    ...(rest.use_vmac === undefined ? {} : { use_vmac: withoutMac(rest.use_vmac) }),
    ...(rest.auth_hmac === undefined ? {} : { auth_hmac: { ...rest.auth_hmac, mode: "enforce" } }),
  };
}

function withoutMac(
  { mac: _, ...vmac }: NonNullable<VrrpInstance["use_vmac"]>,
): NonNullable<VrrpInstance["use_vmac"]> {
  return vmac;
}
