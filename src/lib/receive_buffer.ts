/** How much may wait in a socket to be received: what a configuration says of it, and what the kernel is told. */

/** The receive buffer of a socket. Plain JSON. */
export interface ReceiveBuffer {
  readonly bytes: number;
  /** Also beyond what the kernel allows everybody (net.core.rmem_max). */
  readonly isForced: boolean;
}

/** What `X_rcv_bufs` and `X_rcv_bufs_force` come to; undefined when they leave it to us. */
export function receiveBuffer(
  bytes: number | undefined,
  isForced: boolean | undefined,
): ReceiveBuffer | undefined {
  return bytes === undefined || bytes === 0 ? undefined : { bytes, isForced: isForced === true };
}

/** Whether two are the same. */
export function isSameBuffer(a: ReceiveBuffer | undefined, b: ReceiveBuffer | undefined): boolean {
  return a?.bytes === b?.bytes && a?.isForced === b?.isForced;
}
