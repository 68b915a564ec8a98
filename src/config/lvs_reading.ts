/**
 * What the virtual_server being read has shown so far. Its lines depend on each other in the order in
 * which they stand: a scheduler's flags on the scheduler, a real server on the family, the source of a
 * check on its destination. One value serves a whole load, since blocks of services do not nest.
 */
import type { Forwarding, ServiceTarget } from "./lvs.ts";

/** The state of reading a virtual_server. */
export interface LvsReading {
  target: ServiceTarget;
  /** 0 until an address, ip_family, a netmask or a real server tells. */
  family: 0 | 4 | 6;
  /** As names show it. */
  protocol: "none" | "tcp" | "udp" | "sctp";
  lvs_sched: string;
  lvs_method: Forwarding | undefined;
  /** How often lvs_method has changed. */
  methods: number;
  hasSorry: boolean;
  /** Whether anything in it is a script. */
  hasScripts: boolean;
  /** The real server being read. */
  address: string;
  port: number;
  /** How many checks it has so far. */
  checks: number;
  /** The destination of the check being read, and its source if it has one. */
  connect_ip: string;
  bindto: string;
}

/** The state before the first service. */
export function newLvsReading(): LvsReading {
  return {
    target: { type: "fwmark", fwmark: 0 },
    family: 0,
    protocol: "none",
    lvs_sched: "",
    lvs_method: undefined,
    methods: 0,
    hasSorry: false,
    hasScripts: false,
    address: "",
    port: 0,
    checks: 0,
    connect_ip: "",
    bindto: "",
  };
}

/** Begins a service. */
export function beginService(reading: LvsReading, target: ServiceTarget): void {
  reading.target = target;
  reading.family = target.type === "address" ? familyOfText(target.address) : 0;
  reading.protocol = "none";
  reading.lvs_sched = "";
  reading.lvs_method = undefined;
  reading.methods = 0;
  reading.hasSorry = false;
  reading.hasScripts = false;
}

/** The family of an address in canonical text. */
export function familyOfText(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}
