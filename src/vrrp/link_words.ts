/** What a configuration says of links as such, for the role: delays and links that are asked. Pure. */

import type { Config } from "../config/load.ts";
import type { VrrpGlobals, VrrpInstance } from "../config/vrrp.ts";

const DOWN_TIMER_ADVERTS = 3;
/** A part of an interval that a delay must leave. */
const MARGIN = 0.01;

/** Nothing for most. */
export function linkWords(config: Config): Pick<VrrpGlobals, "up_down_delays" | "linkbeat"> {
  const { vrrp_instances, interface_up_down_delays = [] } = config;
  const up_down_delays = interface_up_down_delays.map((delay) => {
    const users = vrrp_instances.filter((one) => one.interface === delay.interface);
    const most = Math.min(...users.map(patienceUs));
    return { ...delay, down: Math.min(delay.down, most), up: Math.min(delay.up, most) };
  });
  const linkbeat = polledLinks(config);
  return {
    ...(up_down_delays.length === 0 ? {} : { up_down_delays }),
    ...(linkbeat.length === 0 ? {} : { linkbeat }),
  };
}

/** A link that is not believed for longer would let peers take over before it is. */
function patienceUs({ advert_int, down_timer_adverts = DOWN_TIMER_ADVERTS }: VrrpInstance): number {
  return Math.floor((down_timer_adverts - 1 - MARGIN) * advert_int);
}

function polledLinks(
  { daemon, linkbeat_interfaces = [], vrrp_instances }: Config,
): NonNullable<VrrpGlobals["linkbeat"]> {
  const isAll = daemon?.linkbeat_use_polling === true;
  const names = vrrp_instances.flatMap((one) => {
    if (!isAll && one.linkbeat_use_polling !== true) return [];
    const tracked = isAll ? one.track_interface.map(({ name }) => name) : [];
    return [...(one.interface === undefined ? [] : [one.interface]), ...tracked];
  });
  const known = new Set(linkbeat_interfaces.map((one) => one.interface));
  const others = [...new Set(names)].filter((name) => !known.has(name));
  return [...linkbeat_interfaces, ...others.map((name) => ({ interface: name }))];
}
