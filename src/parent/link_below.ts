/** What links lie upon, for whoever has to know that two names are one wire. Loaded only when that is asked. */

import { closeDescriptor } from "../../ffi/socket.ts";
import { SysError } from "../../ffi/libc.ts";
import { Netlink } from "../../ffi/netlink.ts";
import { decodeLink, encodeGetLink, type Link } from "../netlink/link.ts";

/** Links that are on the wire of another one. */
const KINDS: ReadonlySet<string | undefined> = new Set(["macvlan", "ipvlan"]);

/** The link that a macvlan or ipvlan lies upon; any other, and one that is not there, is its own. */
export function linkBelow(name: string): string {
  const link = linkOf(name);
  if (link?.linkIndex === undefined || !KINDS.has(link.kind)) return name;
  // What lies in another namespace has no name here.
  if (link.linkNetnsid !== undefined) return name;
  return linkOf(link.linkIndex)?.name ?? name;
}

function linkOf(which: string | number): Link | undefined {
  let found: Link | undefined;
  try {
    const socket = new Netlink();
    try {
      socket.dump(encodeGetLink(which), `asking for the link ${which}`, ({ payload }) => {
        found = decodeLink(payload);
      });
    } finally {
      closeDescriptor(socket.fd);
    }
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
  }
  return found;
}
