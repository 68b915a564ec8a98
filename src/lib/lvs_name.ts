/** How the load balancer's services and servers are named in messages, on FIFOs and in mails. */

/** What a service answers to. */
type Target =
  | { readonly type: "address"; readonly address: string; readonly port: number }
  | { readonly type: "fwmark"; readonly fwmark: number }
  | { readonly type: "group"; readonly group: string; readonly number?: number };

/** A service: `[ADDRESS]:tcp:80`, `FWM 7`, or `[GROUP]:0` and, for the next one of that group, `[GROUP]:1`. */
export function serviceName(target: Target, protocol: string): string {
  switch (target.type) {
    case "address":
      return serverName(target.address, protocol, target.port);
    case "fwmark":
      return `FWM ${target.fwmark}`;
    case "group":
      return `[${target.group}]:${target.number ?? 0}`;
  }
}

/** A real server: `[ADDRESS]:tcp:80`. */
export function serverName(address: string, protocol: string, port: number): string {
  return `[${address}]:${protocol}:${port}`;
}
