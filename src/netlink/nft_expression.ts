/**
 * What a rule of nftables is made of (linux/netfilter/nf_tables.h): expressions that run in order over
 * registers. One that does not match ends the rule; the verdict at the end says what becomes of the
 * packet. All numbers in attributes are in network order; data is as the packet or the kernel has it,
 * so a port is in network order and a mark or an index in the host's.
 *
 * ```
 * ip daddr 10.0.0.1 drop
 *
 *   payload    4 bytes of the network header, from 16 on → register 1
 *   cmp        register 1 == 10.0.0.1
 *   immediate  drop → the verdict's register
 * ```
 */

import { type AttributeWriter, NLA_F_NESTED } from "./message.ts";

/**
 * Where an expression puts or finds data: NFT_REG_1 to NFT_REG_4 of 16 bytes each, or the same
 * memory in parts of 4 bytes, which concatenations are made in ({@link partRegister}).
 */
export type Register = number;

/** The first register of 16 bytes. */
export const NFT_REG_1 = 1;
/** The second. */
export const NFT_REG_2 = 2;
/** NFT_REG32_00 */
const NFT_REG32_00 = 8;
/** The verdict's register. */
const NFT_REG_VERDICT = 0;

/** The register of 4 bytes that begins `offset` bytes (a multiple of 4) behind NFT_REG_1. */
export function partRegister(offset: number): Register {
  return NFT_REG32_00 + offset / 4;
}

/** Where payload is counted from: the Ethernet, the IP or the transport header. */
const BASES = { link: 0, network: 1, transport: 2 } as const;

/** What is known of a packet beside its bytes. */
const META_KEYS = {
  protocol: 1,
  mark: 3,
  iif: 4,
  oif: 5,
  iifname: 6,
  oifname: 7,
  nfproto: 15,
  l4proto: 16,
  iifkind: 26,
  oifkind: 27,
} as const;

const OPERATORS = { "==": 0, "!=": 1, "<": 2, "<=": 3, ">": 4, ">=": 5 } as const;

/** The verdicts that name no chain, as the kernel numbers them. */
const PLAIN_VERDICTS = { drop: 0, accept: 1, continue: -1, return: -5 } as const;
const CHAIN_VERDICTS = { jump: -3, goto: -4 } as const;

/** What becomes of a packet. */
export type Verdict =
  | { readonly type: keyof typeof PLAIN_VERDICTS }
  /** Goes on in another chain of the table, and comes back (jump) or not (goto). */
  | { readonly type: keyof typeof CHAIN_VERDICTS; readonly chain: string };

/** One step of a rule. */
export type Expression =
  | {
    /** Loads bytes of the packet. */
    readonly type: "payload";
    readonly base: keyof typeof BASES;
    /** Bytes from the start of that header. */
    readonly offset: number;
    readonly length: number;
    readonly to: Register;
  }
  /** Loads what is known of the packet. */
  | { readonly type: "meta"; readonly key: keyof typeof META_KEYS; readonly to: Register }
  /** Sets what is known of the packet. */
  | { readonly type: "set meta"; readonly key: "mark"; readonly from: Register }
  | {
    /** Goes on when the comparison holds. */
    readonly type: "cmp";
    readonly from: Register;
    readonly operator: keyof typeof OPERATORS;
    readonly data: Uint8Array;
  }
  | {
    /** (from & mask) ^ xor, which are of equal length. */
    readonly type: "bitwise";
    readonly from: Register;
    readonly to: Register;
    readonly mask: Uint8Array;
    readonly xor: Uint8Array;
  }
  | {
    /** Goes on when the set holds the key, or (`invert`) does not. */
    readonly type: "lookup";
    readonly set: string;
    readonly from: Register;
    readonly invert?: boolean;
    /** Of a map: where the data goes; a verdict of the map is obeyed instead ("verdict"). */
    readonly to?: Register | "verdict";
  }
  /** Loads data. */
  | { readonly type: "immediate"; readonly to: Register; readonly data: Uint8Array }
  | { readonly type: "verdict"; readonly verdict: Verdict }
  /** Counts what comes by, from these values on. */
  | { readonly type: "counter"; readonly packets?: bigint; readonly bytes?: bigint }
  | {
    /** Sends a copy elsewhere. */
    readonly type: "dup";
    /** Holds the next hop's address. */
    readonly address: Register;
    /** Holds the index of the link; absent: as the routes say. */
    readonly device?: Register;
  };

const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const NFTA_VERDICT_CHAIN = 2;
const NFTA_PAYLOAD_DREG = 1;
const NFTA_PAYLOAD_BASE = 2;
const NFTA_PAYLOAD_OFFSET = 3;
const NFTA_PAYLOAD_LEN = 4;
const NFTA_META_DREG = 1;
const NFTA_META_KEY = 2;
const NFTA_META_SREG = 3;
const NFTA_CMP_SREG = 1;
const NFTA_CMP_OP = 2;
const NFTA_CMP_DATA = 3;
const NFTA_BITWISE_SREG = 1;
const NFTA_BITWISE_DREG = 2;
const NFTA_BITWISE_LEN = 3;
const NFTA_BITWISE_MASK = 4;
const NFTA_BITWISE_XOR = 5;
const NFTA_LOOKUP_SET = 1;
const NFTA_LOOKUP_SREG = 2;
const NFTA_LOOKUP_DREG = 3;
const NFTA_LOOKUP_FLAGS = 5;
const NFT_LOOKUP_F_INV = 1;
const NFTA_IMMEDIATE_DREG = 1;
const NFTA_IMMEDIATE_DATA = 2;
const NFTA_COUNTER_BYTES = 1;
const NFTA_COUNTER_PACKETS = 2;
const NFTA_DUP_SREG_ADDR = 1;
const NFTA_DUP_SREG_DEV = 2;

/** Appends the attributes that are an expression: the name of its kind and its own data. */
export function writeExpression(w: AttributeWriter, expression: Expression): void {
  w.text(NFTA_EXPR_NAME, kernelName(expression));
  w.nest(NFTA_EXPR_DATA | NLA_F_NESTED, () => writeParameters(w, expression));
}

/** What the kernel calls its kind. */
function kernelName({ type }: Expression): string {
  if (type === "set meta") return "meta";
  return type === "verdict" ? "immediate" : type;
}

function writeParameters(w: AttributeWriter, it: Expression): void {
  switch (it.type) {
    case "payload":
      w.be32(NFTA_PAYLOAD_DREG, it.to);
      w.be32(NFTA_PAYLOAD_BASE, BASES[it.base]);
      w.be32(NFTA_PAYLOAD_OFFSET, it.offset);
      w.be32(NFTA_PAYLOAD_LEN, it.length);
      return;
    case "meta":
      w.be32(NFTA_META_KEY, META_KEYS[it.key]);
      w.be32(NFTA_META_DREG, it.to);
      return;
    case "set meta":
      w.be32(NFTA_META_KEY, META_KEYS[it.key]);
      w.be32(NFTA_META_SREG, it.from);
      return;
    case "cmp":
      w.be32(NFTA_CMP_SREG, it.from);
      w.be32(NFTA_CMP_OP, OPERATORS[it.operator]);
      writeData(w, NFTA_CMP_DATA, it.data);
      return;
    case "bitwise":
      w.be32(NFTA_BITWISE_SREG, it.from);
      w.be32(NFTA_BITWISE_DREG, it.to);
      w.be32(NFTA_BITWISE_LEN, it.mask.length);
      writeData(w, NFTA_BITWISE_MASK, it.mask);
      writeData(w, NFTA_BITWISE_XOR, it.xor);
      return;
    case "lookup":
      w.be32(NFTA_LOOKUP_SREG, it.from);
      if (it.to !== undefined) {
        w.be32(NFTA_LOOKUP_DREG, it.to === "verdict" ? NFT_REG_VERDICT : it.to);
      }
      w.text(NFTA_LOOKUP_SET, it.set);
      if (it.invert) w.be32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
      return;
    case "immediate":
      w.be32(NFTA_IMMEDIATE_DREG, it.to);
      writeData(w, NFTA_IMMEDIATE_DATA, it.data);
      return;
    case "verdict":
      w.be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
      writeData(w, NFTA_IMMEDIATE_DATA, it.verdict);
      return;
    case "counter":
      if (it.bytes !== undefined) w.be64(NFTA_COUNTER_BYTES, it.bytes);
      if (it.packets !== undefined) w.be64(NFTA_COUNTER_PACKETS, it.packets);
      return;
    case "dup":
      w.be32(NFTA_DUP_SREG_ADDR, it.address);
      if (it.device !== undefined) w.be32(NFTA_DUP_SREG_DEV, it.device);
      return;
  }
}

/** Appends an attribute of the given type that holds bytes or a verdict. */
export function writeData(w: AttributeWriter, type: number, data: Uint8Array | Verdict): void {
  w.nest(type | NLA_F_NESTED, () => {
    if (data instanceof Uint8Array) w.bytes(NFTA_DATA_VALUE, data);
    else w.nest(NFTA_DATA_VERDICT | NLA_F_NESTED, () => writeVerdict(w, data));
  });
}

function writeVerdict(w: AttributeWriter, verdict: Verdict): void {
  switch (verdict.type) {
    case "drop":
    case "accept":
    case "continue":
    case "return":
      w.be32(NFTA_VERDICT_CODE, PLAIN_VERDICTS[verdict.type]);
      return;
    case "jump":
    case "goto":
      w.be32(NFTA_VERDICT_CODE, CHAIN_VERDICTS[verdict.type]);
      w.text(NFTA_VERDICT_CHAIN, verdict.chain);
      return;
  }
}
