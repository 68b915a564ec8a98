/** A director with virtual servers, two servers behind it and a client before it, in namespaces of a guest. */

import { answering } from "./backends.ts";
import { Daemon } from "./daemon.ts";
import { Network } from "./namespaces.ts";

/** What clients call. */
export const VIP = "10.0.0.100";
/** The same over IPv6. */
export const VIP6 = "fd00::100";
const HOSTS = ["director", "client", "one", "two"];
/** The hosts' addresses: the servers'. */
export const [ONE, TWO] = ["10.0.0.3", "10.0.0.4"] as const;

/** A director, a client and two servers; the servers' answers go back through the director. */
export function lab(isDirect = false): Network {
  const network = new Network(HOSTS, { ipv6: true });
  const on = (host: string, ...lines: string[]): void => {
    network.run(host, "sh", "-ec", lines.join("\n"));
  };
  on(
    "director",
    `ip address add ${VIP}/32 dev eth0`,
    `ip address add ${VIP6}/128 dev eth0 nodad`,
    "cd /proc/sys/net",
    "echo 1 >ipv4/ip_forward",
    "echo 1 >ipv6/conf/all/forwarding",
    "echo 0 >ipv4/conf/all/send_redirects; echo 0 >ipv4/conf/eth0/send_redirects",
  );
  on("client", `ip route add ${VIP} via 10.0.0.1`, `ip route add ${VIP6} via fd00::1`);
  for (const host of ["one", "two"]) {
    // The director does forward back where a packet has come from, and says so over IPv6 whatever it is told.
    on(
      host,
      "cd /proc/sys/net/ipv6/conf",
      "echo 0 >all/accept_redirects; echo 0 >eth0/accept_redirects",
    );
    if (isDirect) {
      on(
        host,
        "echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore",
        "echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce",
        `ip address add ${VIP}/32 dev lo`,
      );
    } else on(host, "ip route add 10.0.0.2 via 10.0.0.1", "ip route add fd00::2 via fd00::1");
  }
  return network;
}

/** A virtual_server block. */
export function service(
  lines: string,
  head = `${VIP} 80`,
  usual = "lvs_sched rr\nlvs_method NAT\nprotocol TCP",
): string {
  return `virtual_server ${head} {\n${usual}\n${lines}\n}\n`;
}

/** A real_server block. */
export const real = (address: string, port: number, lines = ""): string =>
  `real_server ${address} ${port} {\n${lines}\n}\n`;

/** Both servers, unchecked. */
export const PAIR = real(ONE, 80) + real(TWO, 80);

/** Where the checkers of {@link balancing} have their pid file. */
export const CHECKERS_PID_FILE = "/run/uml-checkers.pid";

/** Starts the daemon on the director; resolves when it balances. */
export async function balancing(
  network: Network,
  config: string,
  ...words: string[]
): Promise<Daemon> {
  const daemon = new Daemon(network, "director", config, {
    words: ["-c", CHECKERS_PID_FILE, ...words],
  });
  await daemon.waitForLog("Startup complete", 20_000);
  return daemon;
}

/** Has a daemon reload; resolves when it has. */
export async function reload(daemon: Daemon, config: string): Promise<void> {
  daemon.rewrite(config);
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload complete", 20_000);
}

/** Who answers so many calls, in order. */
export async function answers(
  network: Network,
  count: number,
  to = VIP,
  port = 80,
): Promise<string[]> {
  const all: string[] = [];
  for (let i = 0; i < count; i++) all.push(await answering(network, "client", to, port));
  return all;
}
