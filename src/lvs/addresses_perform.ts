/** Which addresses this host has, for services that are checked only where they are. */

import { Netlink, NetlinkMonitor } from "../../ffi/netlink.ts";
import { closeDescriptor } from "../../ffi/socket.ts";
import { formatAddress } from "../lib/address.ts";
import type { ReceiveBuffer } from "../lib/receive_buffer.ts";
import type { Loop } from "../loop.ts";
import { decodeAddressMessage, encodeDumpAddresses } from "../netlink/address.ts";

// linux/rtnetlink.h
const RTNLGRP_IPV4_IFADDR = 5;
const RTNLGRP_IPV6_IFADDR = 9;
const BUFFER_BYTES = 1 << 20;

/** The addresses of this host, kept up to date. */
export class OwnAddresses {
  readonly #loop: Loop;
  readonly #netlink = new Netlink();
  readonly #monitor: NetlinkMonitor;
  #addresses = new Set<string>();

  /** `changed` is called when an address has come or gone. Throws SysError. */
  constructor(loop: Loop, changed: () => void) {
    this.#loop = loop;
    this.#monitor = new NetlinkMonitor([RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR], BUFFER_BYTES);
    this.#read();
    loop.watch(this.#monitor.fd, () => {
      // What has happened is of no interest: it is rare, and a dump is always right.
      this.#monitor.receive(() => {});
      const before = this.#addresses;
      this.#read();
      if (before.symmetricDifference(this.#addresses).size > 0) changed();
    });
  }

  /** How much may wait in the sockets for requests and for what happens; undefined is the usual. Throws SysError. */
  resize(cmd: ReceiveBuffer | undefined, monitor: ReceiveBuffer | undefined): void {
    this.#netlink.resize(cmd);
    this.#monitor.resize(monitor);
  }

  /** Whether this host has an address. */
  has(address: string): boolean {
    return this.#addresses.has(address);
  }

  #read(): void {
    const found = new Set<string>();
    this.#netlink.dump(encodeDumpAddresses(), "reading the addresses", ({ payload }) => {
      const one = decodeAddressMessage(payload);
      if (one !== undefined) found.add(formatAddress(one.address));
    });
    this.#addresses = found;
  }

  /** Watches no more. */
  close(): void {
    this.#loop.unwatch(this.#monitor.fd);
    this.#monitor.close();
    closeDescriptor(this.#netlink.fd);
  }
}
