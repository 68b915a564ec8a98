/**
 * What a bfd_instance says: one BFD session, defaults filled in. The fields keep the spelling of the
 * configuration; durations are integer microseconds.
 */

/** One bfd_instance. Plain JSON. */
export interface BfdInstance {
  /** At most 31 characters; what track_bfd and BFD_CHECK name. */
  readonly name: string;
  /** The peer, in canonical text; a link-local one ends in `%` and the name of its link. */
  readonly neighbor_ip: string;
  /** Our own address, of the neighbour's family; without one the kernel chooses. */
  readonly source_ip?: string;
  /** How often we can bear to hear the peer: 1 ms to 4294967 ms, 10 ms by default. */
  readonly min_rx: number;
  /** How often we wish to speak while Up: 1 ms to 4294967 ms, 10 ms by default. */
  readonly min_tx: number;
  /** The same while not Up: 1 s to 4294967 ms, 1 s by default. */
  readonly idle_tx: number;
  /** Packets the peer may miss before it declares us gone: 1 to 255, 5 by default. */
  readonly multiplier: number;
  /** Does not speak before the peer has. */
  readonly passive: boolean;
  /** TTL or hop limit we send with (`ttl`, `hoplimit`): 1 to 255, by default 255 (IPv4) or 64 (IPv6). */
  readonly ttl: number;
  /**
   * How far below `ttl` a received TTL may be: 0 to `ttl`, 0 by default; 255 (also written -1) is no
   * check. With a `ttl` of 255 and the default this is the rule of RFC 5881 §5.
   */
  readonly max_hops: number;
  /** RFC 5883: port 4784 instead of 3784. */
  readonly multihop: boolean;
  /** What track_bfd takes unless it says otherwise: -253 to 253, 0 by default. */
  readonly weight: number;
  /** The weight counts while the session is down. */
  readonly reverse: boolean;
  /** Its events go to the vrrp instances; both receivers unless only one keyword is there. */
  readonly vrrp: boolean;
  /** Its events go to the checkers. */
  readonly checker: boolean;
}
