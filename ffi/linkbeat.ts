/**
 * Whether a link has a carrier, asked of its driver for links whose driver does not tell: by MII registers, by
 * ethtool, or else by the interface flags (linux/mii.h, linux/ethtool.h, linux/if.h).
 */

import { AF_INET, SOCK_DGRAM } from "./constants.ts";
import { libc } from "./libc.ts";
import { Memory } from "./memory.ts";
import { openSocket, writeAddress } from "./socket.ts";

// linux/sockios.h
const SIOCGIFFLAGS = 0x8913;
const SIOCETHTOOL = 0x8946;
const SIOCGMIIPHY = 0x8947;
const SIOCGMIIREG = 0x8948;
const ETHTOOL_GLINK = 0x0a;
const IFF_RUNNING = 0x40;
/** Basic mode status register, and in it: link. Reading it once forgets a failure that was. */
const MII_BMSR = 1;
const BMSR_LSTATUS = 4;

/** struct ifreq: a name of 16 bytes, then what is asked and answered. */
const IFREQ_BYTES = 40;
const DATA = 16;

/** How it is asked for. */
export type LinkbeatType = "MII" | "ETHTOOL" | "IOCTL";

/** The ways in the order in which they are tried. */
export const LINKBEAT_TYPES: readonly LinkbeatType[] = ["MII", "ETHTOOL", "IOCTL"];

let socket = -1;

/** Whether the link of this name has a carrier; undefined when its driver cannot be asked this way. */
export function askLink(name: string, type: LinkbeatType): boolean | undefined {
  if (socket < 0) socket = openSocket(AF_INET, SOCK_DGRAM, 0, "opening a socket to ask links");
  const request = new Memory(IFREQ_BYTES);
  request.bytes.set(new TextEncoder().encode(name).subarray(0, DATA - 1));
  const ask = (what: number): boolean => libc.ioctl(socket, what, request.pointer) >= 0;
  const { view } = request;
  switch (type) {
    case "MII": {
      if (!ask(SIOCGMIIPHY)) return undefined;
      view.setUint16(DATA + 2, MII_BMSR, true);
      if (!ask(SIOCGMIIREG) || !ask(SIOCGMIIREG)) return undefined;
      return (view.getUint16(DATA + 6, true) & BMSR_LSTATUS) !== 0;
    }
    case "ETHTOOL": {
      const value = new Memory(8); // struct ethtool_value: cmd, data
      value.view.setUint32(0, ETHTOOL_GLINK, true);
      writeAddress(view, DATA, value.pointer);
      return ask(SIOCETHTOOL) ? value.view.getUint32(4, true) !== 0 : undefined;
    }
    case "IOCTL":
      return ask(SIOCGIFFLAGS) ? (view.getUint16(DATA, true) & IFF_RUNNING) !== 0 : undefined;
  }
}
