/** Virtual servers from text, as the checkers role gets them. */

import { memoryFiles } from "../../src/config/files.ts";
import { load } from "../../src/config/load.ts";
import { type Balanced, type Balancing, diffLvs, type LvsChange } from "../../src/lvs/changes.ts";

/** What a configuration says of the load balancer. */
export function balancingOf(text: string): Balancing {
  return load("/k.conf", memoryFiles({ "/k.conf": text }, { links: ["eth0"] }), "test").config;
}

/** The virtual servers of a configuration, by key. */
export function balancedOf(text: string): Map<string, Balanced> {
  const adds = diffLvs(undefined, balancingOf(text)).flatMap((change: LvsChange) =>
    change.type === "add" ? [[change.key, change.balanced] as const] : []
  );
  return new Map(adds);
}

/** The only virtual server of a configuration. */
export function onlyBalanced(text: string): Balanced {
  const all = [...balancedOf(text).values()];
  if (all.length !== 1) throw new Error(`${all.length} virtual servers`);
  return all[0]!;
}

/** A virtual_server block; real servers are lines of their own. */
export function virtualServer(lines: string, head = "192.0.2.1 80", plain = PLAIN): string {
  return `virtual_server ${head} {\n${plain}\n${lines}\n}\n`;
}

const PLAIN = "lb_algo rr\nlb_kind NAT\nprotocol TCP";

/** A real_server block. */
export function realServer(head = "198.51.100.1 80", lines = ""): string {
  return `real_server ${head} {\n${lines}\n}\n`;
}

/** So many virtual servers with so many real servers each, as fleets have them. */
export function fleet(virtual: number, real: number, check = "", changed = -1): string {
  const blocks: string[] = [];
  for (let i = 0; i < virtual; i++) {
    const servers: string[] = [];
    for (let j = 0; j < real; j++) {
      const port = i === changed && j === 0 ? 8081 : 8080;
      const address = `10.${128 + j}.${i >> 8}.${i & 255}`;
      servers.push(`  real_server ${address} ${port} {\n    weight 1\n${check}  }\n`);
    }
    blocks.push(
      `virtual_server 10.1.${i >> 8}.${i & 255} 80 {\n  delay_loop 60\n  lvs_sched rr\n` +
        `  lvs_method NAT\n  protocol TCP\n${servers.join("")}}\n`,
    );
  }
  return blocks.join("");
}
