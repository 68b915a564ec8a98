/** Conversations with the kernel from inside a host's namespace, and objects as `ip -j` shows them. */

import { Netlink, type Request } from "../../ffi/netlink.ts";
import { enterNamespaceOf, enterNetworkNamespace, openOwnNamespace } from "../../ffi/process.ts";
import { closeDescriptor } from "../../ffi/socket.ts";
import type { Message } from "../../src/netlink/message.ts";
import type { Network } from "./namespaces.ts";

/** A socket of a host's, which ends with the test. */
export class HostNetlink extends Netlink {
  /** `protocol` is NETLINK_*; absent: rtnetlink. */
  static open(network: Network, host: string, protocol?: number): HostNetlink {
    const home = openOwnNamespace();
    try {
      enterNetworkNamespace(`/run/netns/${network.netns(host)}`);
      return new HostNetlink(protocol);
    } finally {
      enterNamespaceOf(home);
      closeDescriptor(home);
    }
  }

  /** Performs one request; throws the SysError of a refusal. */
  must(bytes: Uint8Array, doing: string): void {
    const [refused] = this.perform([{ bytes, doing }]);
    if (refused !== undefined) throw refused;
  }

  /** What a dump's messages decode to; throws when one does not. */
  all<Item>(request: Uint8Array, decode: (payload: Uint8Array) => Item | undefined): Item[] {
    const items: Item[] = [];
    this.dump(request, "dumping", ({ payload, type }: Message) => {
      const item = decode(payload);
      if (item === undefined) throw new Error(`message ${type} not read: ${payload.toHex()}`);
      items.push(item);
    });
    return items;
  }

  /** Closes the socket. */
  [Symbol.dispose](): void {
    closeDescriptor(this.fd);
  }
}

/** One request a value, for {@link Netlink.perform}. */
export function requests<Item>(
  items: readonly Item[],
  encode: (item: Item) => Uint8Array,
): Request[] {
  return items.map((item, i) => ({ bytes: encode(item), doing: `sending number ${i}` }));
}
