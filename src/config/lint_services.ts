/** What is unwise about virtual servers and what they are checked with. */
import type { Find } from "./finding.ts";
import type { VirtualServer } from "./lvs.ts";
import { serviceName } from "../lib/lvs_name.ts";

/** More servers than these are only counted. */
const MOST_NAMED = 4;

/** Adds findings about the services. */
export function lintServices(services: readonly VirtualServer[], find: Find): void {
  for (const service of services) {
    lintUnchecked(service, find);
    lintWeightless(service, find);
  }
}

/** As messages of keepalived name it. */
function nameOf({ target, protocol }: VirtualServer): string {
  return serviceName(target, protocol?.toLowerCase() ?? "none");
}

/** A server without a check is sent its share for ever, dead or alive. */
function lintUnchecked(service: VirtualServer, find: Find): void {
  const unchecked = service.real_servers.filter(({ checks }) => checks.length === 0);
  if (unchecked.length === 0) return;
  const named = unchecked.slice(0, MOST_NAMED).map(({ address, port }) => `${address} ${port}`);
  const rest = unchecked.length - named.length;
  const list = rest === 0 ? named.join(", ") : `${named.join(", ")} and ${rest} more`;
  find({
    place: unchecked[0]!.place,
    code: "no_checker",
    message: `(${nameOf(service)}) ${list}: without a check ` +
      (unchecked.length === 1 ? "it counts" : "they count") + " as healthy whatever happens",
    hint: "add a check, such as TCP_CHECK { }",
  });
}

/** Weight 0 everywhere means that nobody is served. */
function lintWeightless(service: VirtualServer, find: Find): void {
  if (service.real_servers.some(({ weight }) => weight > 0)) return;
  find({
    place: service.place,
    near: ["weight", "real_server"],
    code: "no_weight",
    message: `(${nameOf(service)}) every real server has weight 0: no new ` +
      "connection goes anywhere",
    hint: "give at least one a weight of 1 or more",
  });
}
