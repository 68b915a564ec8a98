/**
 * nftables over nfnetlink (linux/netfilter/nf_tables.h, nfnetlink.h): tables of chains, sets and
 * rules. Changes travel in a batch, which the kernel does whole or not at all: a message that begins
 * it, the changes, a message that ends it, all in one datagram. A change that fails is answered by
 * its error; one question at the end is enough to hear that all went well. Every message starts with
 * `struct nfgenmsg`; numbers in attributes are in network order.
 *
 * ```
 *  0        1        2                 4
 * +--------+--------+-----------------+
 * | family | version| resource id (BE)|
 * +--------+--------+-----------------+
 * | attributes (NFTA_*) ...
 * ```
 */

import { assert } from "../lib/assert.ts";
import { AF_UNSPEC } from "./family.ts";
import {
  AttributeReader,
  AttributeWriter,
  encodeMessage,
  get16,
  NLA_F_NESTED,
  NLM_F_ACK,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  put16,
} from "./message.ts";
import { type Expression, type Verdict, writeData, writeExpression } from "./nft_expression.ts";

/** linux/netfilter/nfnetlink.h */
const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;

const NFT_MSG_NEWTABLE = 0;
const NFT_MSG_GETTABLE = 1;
const NFT_MSG_DELTABLE = 2;
const NFT_MSG_NEWCHAIN = 3;
const NFT_MSG_DELCHAIN = 5;
const NFT_MSG_NEWRULE = 6;
const NFT_MSG_DELRULE = 8;
const NFT_MSG_NEWSET = 9;
const NFT_MSG_DELSET = 11;
const NFT_MSG_NEWSETELEM = 12;
const NFT_MSG_DELSETELEM = 14;

const NFTA_TABLE_NAME = 1;
const NFTA_TABLE_FLAGS = 2;
const NFTA_TABLE_HANDLE = 4;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_HOOK = 4;
const NFTA_CHAIN_POLICY = 5;
const NFTA_CHAIN_TYPE = 7;
const NFTA_HOOK_HOOKNUM = 1;
const NFTA_HOOK_PRIORITY = 2;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
const NFTA_RULE_HANDLE = 3;
const NFTA_RULE_EXPRESSIONS = 4;
/** Of every list, each of its members. */
const NFTA_LIST_ELEM = 1;
const NFTA_SET_TABLE = 1;
const NFTA_SET_NAME = 2;
const NFTA_SET_FLAGS = 3;
const NFTA_SET_KEY_TYPE = 4;
const NFTA_SET_KEY_LEN = 5;
const NFTA_SET_DATA_TYPE = 6;
const NFTA_SET_DATA_LEN = 7;
const NFTA_SET_DESC = 9;
const NFTA_SET_ID = 10;
const NFTA_SET_USERDATA = 13;
const NFTA_SET_DESC_CONCAT = 2;
const NFTA_SET_FIELD_LEN = 1;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_DATA = 2;
const NFTA_SET_ELEM_FLAGS = 3;
const NFTA_SET_ELEM_KEY_END = 10;
const NFT_SET_ELEM_INTERVAL_END = 1;

/** Flags of a set: its elements never change once it is in use. */
export const NFT_SET_CONSTANT = 0x2;
/** Each element is the start of a range or its end, or, with a key of several, a range of each of them. */
export const NFT_SET_INTERVAL = 0x4;
/** A key of several is taken apart (Linux 5.6). */
const NFT_SET_CONCAT = 0x80;
/** Each key has data. */
const NFT_SET_MAP = 0x8;
/** The type of data that is a verdict. */
const NFT_DATA_VERDICT = 0xffffff00;

const NFGENMSG_LENGTH = 4;
/** Where a message's header has its flags. */
const FLAGS_OFFSET = 6;
/** Elements a message, so that the list fits the 16 bits of its length whatever its members are. */
const ELEMENTS = 250;

/** Families of tables (linux/netfilter.h). */
const FAMILIES = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const;
/** Where a chain of an IP family is called (linux/netfilter.h, netfilter_ipv4.h). */
const HOOKS = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;
const POLICIES = { drop: 0, accept: 1 } as const;

/** nft's numbers of the types of keys and data; only nft itself reads them. */
const TYPES = {
  ipv4_addr: { number: 7, length: 4, order: 2 },
  ipv6_addr: { number: 8, length: 16, order: 2 },
  inet_proto: { number: 12, length: 1, order: 2 },
  inet_service: { number: 13, length: 2, order: 2 },
  mark: { number: 19, length: 4, order: 1 },
  iface_index: { number: 20, length: 4, order: 1 },
  icmpv6_type: { number: 29, length: 1, order: 2 },
} as const;
const TYPE_BITS = 6;
const BYTEORDER_INVALID = 0;
/** libnftnl/udata.h: what nft notes of a set. */
const NFTNL_UDATA_SET_KEYBYTEORDER = 0;
const NFTNL_UDATA_SET_DATABYTEORDER = 1;

/** A type of keys and data, in nft's words. */
export type NftType = keyof typeof TYPES;

/** A table by name. */
export interface Table {
  readonly family: keyof typeof FAMILIES;
  readonly name: string;
}

/** A table as the kernel describes it. */
export interface ListedTable extends Table {
  /** NFT_TABLE_F_*. */
  readonly flags: number;
  /** Its handle: unique in its namespace, never used again. */
  readonly id: bigint;
}

/** A chain of a table. */
export interface Chain {
  readonly table: Table;
  readonly name: string;
  /** Where it is called from; absent: only from other chains. */
  readonly hook?: {
    readonly point: keyof typeof HOOKS;
    /** Lower ones are called first. */
    readonly priority: number;
    /** What becomes of packets that no rule decides on. */
    readonly policy: keyof typeof POLICIES;
  };
}

/** A set by name. */
export interface SetName {
  readonly table: Table;
  readonly name: string;
}

/** A set, or (with `data`) a map. */
export interface NewSet extends SetName {
  /** Unique in its batch, not 0. */
  readonly id: number;
  /** Several: the key is all of them, each padded to 4 bytes. */
  readonly key: readonly NftType[];
  readonly data?: NftType | "verdict";
  /** NFT_SET_*. */
  readonly flags?: number;
}

/** A member of a set. */
export interface Element {
  /** As long as the set's key. */
  readonly key: Uint8Array;
  /** Of a set with NFT_SET_INTERVAL and a key of several: the last of each. */
  readonly lastKey?: Uint8Array;
  /** Of a map. */
  readonly data?: Uint8Array | Verdict;
  /** Of a set with NFT_SET_INTERVAL: the key is the first behind a range. */
  readonly isEnd?: boolean;
}

/** A rule at the end of a chain. */
export interface NftRule {
  readonly table: Table;
  readonly chain: string;
  readonly expressions: readonly Expression[];
}

/**
 * The parts of a datagram that makes the changes, all or none: what begins the batch, the changes,
 * the last of which asks for an answer, and what ends it.
 */
export function encodeBatch(changes: readonly Uint8Array[]): Uint8Array[] {
  const last = changes.at(-1);
  assert(last !== undefined, "a batch needs a change");
  const asking = last.slice();
  put16(asking, FLAGS_OFFSET, get16(asking, FLAGS_OFFSET) | NLM_F_ACK);
  const before = changes.slice(0, -1);
  return [bracket(NFNL_MSG_BATCH_BEGIN), ...before, asking, bracket(NFNL_MSG_BATCH_END)];
}

function bracket(type: number): Uint8Array {
  const payload = Uint8Array.of(AF_UNSPEC, 0, 0, NFNL_SUBSYS_NFTABLES);
  return encodeMessage({ type, flags: NLM_F_REQUEST, payload });
}

/** Adds a table; with NLM_F_EXCL as `modifiers`, EEXIST when there is one of that name. */
export function encodeNewTable(table: Table, modifiers = 0): Uint8Array {
  return encode(NFT_MSG_NEWTABLE, modifiers, table, (w) => {
    w.text(NFTA_TABLE_NAME, table.name);
    w.be32(NFTA_TABLE_FLAGS, 0);
  });
}

/** Removes a table with all that is in it; ENOENT when there is none. */
export function encodeDeleteTable(table: Table): Uint8Array {
  return encode(NFT_MSG_DELTABLE, 0, table, (w) => w.text(NFTA_TABLE_NAME, table.name));
}

/** Asks for the tables; replies are read by {@link decodeTable} up to NLMSG_DONE. */
export function encodeDumpTables(): Uint8Array {
  return encodeMessage({
    type: typeOf(NFT_MSG_GETTABLE),
    flags: NLM_F_REQUEST | NLM_F_DUMP,
    payload: new Uint8Array(NFGENMSG_LENGTH),
  });
}

/** The table that a reply or a notification is about; undefined when malformed. */
export function decodeTable(payload: Uint8Array): ListedTable | undefined {
  const names = Object.keys(FAMILIES) as Table["family"][];
  const family = names.find((name) => FAMILIES[name] === payload[0]);
  if (payload.length < NFGENMSG_LENGTH || family === undefined) return undefined;
  let [name, flags, id] = ["", 0, 0n];
  const r = new AttributeReader(payload.subarray(NFGENMSG_LENGTH));
  while (r.next()) {
    if (r.type === NFTA_TABLE_NAME) name = r.text();
    if (r.type === NFTA_TABLE_FLAGS) flags = r.be32();
    if (r.type === NFTA_TABLE_HANDLE) id = r.be64();
  }
  return r.short || name === "" ? undefined : { family, name, flags, id };
}

/** Adds a chain. */
export function encodeNewChain({ table, name, hook }: Chain): Uint8Array {
  return encode(NFT_MSG_NEWCHAIN, NLM_F_CREATE, table, (w) => {
    w.text(NFTA_CHAIN_TABLE, table.name);
    w.text(NFTA_CHAIN_NAME, name);
    if (hook === undefined) return;
    w.text(NFTA_CHAIN_TYPE, "filter");
    w.be32(NFTA_CHAIN_POLICY, POLICIES[hook.policy]);
    w.nest(NFTA_CHAIN_HOOK | NLA_F_NESTED, () => {
      w.be32(NFTA_HOOK_HOOKNUM, HOOKS[hook.point]);
      w.be32(NFTA_HOOK_PRIORITY, hook.priority);
    });
  });
}

/** Removes a chain that no rule names; EBUSY when one does. */
export function encodeDeleteChain({ table, name }: Chain): Uint8Array {
  return encode(NFT_MSG_DELCHAIN, 0, table, (w) => {
    w.text(NFTA_CHAIN_TABLE, table.name);
    w.text(NFTA_CHAIN_NAME, name);
  });
}

/** Adds a rule at the end of its chain. */
export function encodeNewNftRule({ table, chain, expressions }: NftRule): Uint8Array {
  return encode(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, table, (w) => {
    w.text(NFTA_RULE_TABLE, table.name);
    w.text(NFTA_RULE_CHAIN, chain);
    w.nest(NFTA_RULE_EXPRESSIONS | NLA_F_NESTED, () => {
      for (const one of expressions) {
        w.nest(NFTA_LIST_ELEM | NLA_F_NESTED, () => writeExpression(w, one));
      }
    });
  });
}

/** Removes the rule of a chain that has a handle, or without one all its rules. */
export function encodeDeleteNftRules(table: Table, chain: string, id?: bigint): Uint8Array {
  return encode(NFT_MSG_DELRULE, 0, table, (w) => {
    w.text(NFTA_RULE_TABLE, table.name);
    w.text(NFTA_RULE_CHAIN, chain);
    if (id !== undefined) w.be64(NFTA_RULE_HANDLE, id);
  });
}

/** Adds a set or a map. */
export function encodeNewSet(set: NewSet): Uint8Array {
  const { table, data, key, flags = 0 } = set;
  const hasRanges = key.length > 1 && (flags & NFT_SET_INTERVAL) !== 0;
  return encode(NFT_MSG_NEWSET, NLM_F_CREATE, table, (w) => {
    w.text(NFTA_SET_TABLE, table.name);
    w.text(NFTA_SET_NAME, set.name);
    const implied = (data === undefined ? 0 : NFT_SET_MAP) | (hasRanges ? NFT_SET_CONCAT : 0);
    w.be32(NFTA_SET_FLAGS, flags | implied);
    w.be32(NFTA_SET_KEY_TYPE, keyType(key));
    w.be32(NFTA_SET_KEY_LEN, keyLength(key));
    if (data !== undefined) {
      w.be32(NFTA_SET_DATA_TYPE, data === "verdict" ? NFT_DATA_VERDICT : TYPES[data].number);
      w.be32(NFTA_SET_DATA_LEN, data === "verdict" ? 0 : TYPES[data].length);
    }
    if (hasRanges) w.nest(NFTA_SET_DESC | NLA_F_NESTED, () => writeFields(w, key));
    w.be32(NFTA_SET_ID, set.id);
    w.bytes(NFTA_SET_USERDATA, byteOrders(set));
  });
}

/** How long each part of a key is. */
function writeFields(w: AttributeWriter, key: readonly NftType[]): void {
  w.nest(NFTA_SET_DESC_CONCAT | NLA_F_NESTED, () => {
    for (const type of key) {
      const { length } = TYPES[type];
      w.nest(NFTA_LIST_ELEM | NLA_F_NESTED, () => w.be32(NFTA_SET_FIELD_LEN, length));
    }
  });
}

/** The types of a key, 6 bits each, the first on top. */
function keyType(key: readonly NftType[]): number {
  return key.reduce((bits, type) => (bits << TYPE_BITS) | TYPES[type].number, 0);
}

function keyLength(key: readonly NftType[]): number {
  const [only] = key;
  if (only !== undefined && key.length === 1) return TYPES[only].length;
  return key.reduce((sum, type) => sum + 4 * Math.ceil(TYPES[type].length / 4), 0);
}

/** What nft needs to show the elements: the byte orders of key and data. */
function byteOrders({ key, data }: NewSet): Uint8Array {
  const [only] = key;
  const keyOrder = only === undefined || key.length > 1 ? BYTEORDER_INVALID : TYPES[only].order;
  const notes = [NFTNL_UDATA_SET_KEYBYTEORDER, 4, keyOrder, 0, 0, 0];
  if (data !== undefined) {
    const order = data === "verdict" ? BYTEORDER_INVALID : TYPES[data].order;
    notes.push(NFTNL_UDATA_SET_DATABYTEORDER, 4, order, 0, 0, 0);
  }
  return Uint8Array.from(notes);
}

/** Removes a set that no rule names; EBUSY when one does. */
export function encodeDeleteSet({ table, name }: SetName): Uint8Array {
  return encode(NFT_MSG_DELSET, 0, table, (w) => {
    w.text(NFTA_SET_TABLE, table.name);
    w.text(NFTA_SET_NAME, name);
  });
}

/**
 * Adds elements to a set, in as many messages as it takes; with NLM_F_EXCL as `modifiers`, EEXIST
 * when one is there.
 */
export function encodeNewElements(
  set: SetName,
  elements: readonly Element[],
  modifiers = 0,
): Uint8Array[] {
  return encodeElements(NFT_MSG_NEWSETELEM, NLM_F_CREATE | modifiers, set, elements);
}

/** Removes elements from a set; ENOENT when one is not there. */
export function encodeDeleteElements(set: SetName, elements: readonly Element[]): Uint8Array[] {
  return encodeElements(NFT_MSG_DELSETELEM, 0, set, elements);
}

function encodeElements(
  message: number,
  modifiers: number,
  { table, name }: SetName,
  elements: readonly Element[],
): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (let start = 0; start < elements.length; start += ELEMENTS) {
    out.push(encode(message, modifiers, table, (w) => {
      w.text(NFTA_SET_ELEM_LIST_TABLE, table.name);
      w.text(NFTA_SET_ELEM_LIST_SET, name);
      w.nest(NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED, () => {
        for (const one of elements.slice(start, start + ELEMENTS)) {
          w.nest(NFTA_LIST_ELEM | NLA_F_NESTED, () => writeElement(w, one));
        }
      });
    }));
  }
  return out;
}

function writeElement(w: AttributeWriter, { key, lastKey, data, isEnd }: Element): void {
  if (isEnd) w.be32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
  writeData(w, NFTA_SET_ELEM_KEY, key);
  if (lastKey !== undefined) writeData(w, NFTA_SET_ELEM_KEY_END, lastKey);
  if (data !== undefined) writeData(w, NFTA_SET_ELEM_DATA, data);
}

function typeOf(message: number): number {
  return NFNL_SUBSYS_NFTABLES << 8 | message;
}

function encode(
  message: number,
  modifiers: number,
  table: Table,
  write: (w: AttributeWriter) => void,
): Uint8Array {
  const w = new AttributeWriter();
  w.raw(Uint8Array.of(FAMILIES[table.family], 0, 0, 0));
  write(w);
  const flags = NLM_F_REQUEST | modifiers;
  return encodeMessage({ type: typeOf(message), flags, payload: w.finish() });
}
