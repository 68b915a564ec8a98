/** What the kernel has against a command, in keepalived's words (numbers and errors of linux/ip_vs.h). */

import type { Command } from "./diff.ts";
import { destinationId, serviceId } from "./table.ts";

/** The part of a refused system call that counts. */
interface Refusal {
  readonly code: number;
  readonly errno: string;
}

/** As the same command is called and numbered where it is a socket option. */
const NAMES: Readonly<Record<Command["type"], string>> = {
  "new-service": "IP_VS_SO_SET_ADD(1154)",
  "set-service": "IP_VS_SO_SET_EDIT(1155)",
  "delete-service": "IP_VS_SO_SET_DEL(1156)",
  "new-destination": "IP_VS_SO_SET_ADDDEST(1159)",
  "delete-destination": "IP_VS_SO_SET_DELDEST(1160)",
  "set-destination": "IP_VS_SO_SET_EDITDEST(1161)",
};

const SERVICE_WORDS: Readonly<Record<string, string>> = {
  EEXIST: "Service already exists",
  ENOENT: "Scheduler or persistence engine not found",
  ESRCH: "No such service",
};

const DESTINATION_WORDS: Readonly<Record<string, string>> = {
  EEXIST: "Destination already exists",
  ENOENT: "No such destination",
  ESRCH: "Service not defined",
};

const WORDS: Readonly<Record<string, string>> = {
  EPERM: "Permission denied (you must be root)",
  EACCES: "Permission denied",
  ENOMEM: "Memory allocation problem",
  EINVAL: "Invalid operation",
  ERANGE: "Number out of range",
  EAFNOSUPPORT: "Address family not supported",
  EADDRNOTAVAIL: "The address is of no use there",
};

/** A log line about a refused command. */
export function refusalText(command: Command, { code, errno }: Refusal): string {
  const own = "destination" in command ? DESTINATION_WORDS : SERVICE_WORDS;
  const why = own[errno] ?? WORDS[errno] ?? errno;
  const where = serviceId(command.service);
  const whom = "destination" in command ? ` -> ${destinationId(command.destination)}` : "";
  return `IPVS cmd ${NAMES[command.type]} error: ${why}(${code}) (${where}${whom})`;
}
