/** `encap TYPE ...` of a route: mpls LABEL[/LABEL...], ip and ip6 with their options, ila LOCATOR. */
import { formatAddress, parseAddress } from "../lib/address.ts";
import type { LineReader } from "./line_reader.ts";
import type { RouteEncap } from "./route.ts";

type Draft = { -readonly [K in keyof RouteEncap]: RouteEncap[K] };

const MOST_LABEL = 0xfffff;

/** Reads what follows `encap`; undefined, with a message, when it is none. */
export function readEncap(reading: LineReader): RouteEncap | undefined {
  const type = reading.value("encap");
  switch (type) {
    case undefined:
      return undefined;
    case "mpls":
      return readMpls(reading);
    case "ip":
    case "ip6":
      return readIp(reading, { type });
    case "ila": {
      const locator = reading.value(type);
      if (locator === undefined) return undefined;
      if (/^[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4}){3}$/.test(locator)) return { type, locator };
      return reading.refuse(`Invalid locator ${locator} for ila`, "four groups, 1:2:3:4");
    }
  }
  return reading.refuse(`Unknown encap type - ${type}`, "mpls, ip, ip6 or ila");
}

function readMpls(reading: LineReader): RouteEncap | undefined {
  const word = reading.value("mpls");
  if (word === undefined) return undefined;
  const labels = word.split("/").map((part) => /^[0-9]+$/.test(part) ? Number(part) : -1);
  if (labels.every((label) => label >= 0 && label <= MOST_LABEL)) return { type: "mpls", labels };
  return reading.drop(`invalid mpls labels ${word}`, `numbers to ${MOST_LABEL} joined by /`);
}

const NUMBERS: Readonly<Record<string, number>> = {
  tos: 255,
  ttl: 255,
  hoplimit: 255,
  flags: 65_535,
  tc: 255,
};

/** Options go on as long as words belong to the tunnel. */
function readIp(reading: LineReader, encap: Draft): RouteEncap {
  for (;;) {
    const option = reading.node.words[reading.at + 1];
    if (option === "id" || option === "dst" || option === "src") {
      reading.at++;
      readIpText(reading, option, encap);
    } else if (option !== undefined && Object.hasOwn(NUMBERS, option)) {
      reading.at++;
      const says = (word: string): string => `Invalid ${option} ${word} for encap ${encap.type}`;
      const value = reading.number(option, { min: 0, max: NUMBERS[option]! }, says);
      const key = option === "tc" ? "tos" : option as "tos" | "ttl" | "hoplimit" | "flags";
      if (value !== undefined) encap[key] = value;
    } else return encap;
  }
}

function readIpText(reading: LineReader, option: "id" | "dst" | "src", encap: Draft): void {
  const word = reading.value(option);
  if (word === undefined) return;
  if (option === "id") {
    if (/^[0-9]{1,20}$/.test(word) && BigInt(word) < 1n << 64n) encap.id = String(BigInt(word));
    else reading.drop(`Invalid id ${word} for encap ${encap.type}`, "a number of 64 bits");
    return;
  }
  const address = parseAddress(word);
  const isOurs = address?.length === (encap.type === "ip" ? 4 : 16);
  if (address !== undefined && isOurs) encap[option] = formatAddress(address);
  else reading.drop(`Invalid ${option} ${word} for encap ${encap.type}`);
}

/** As it is written. */
export function formatEncap(encap: RouteEncap): string {
  const { type, labels, locator, ...options } = encap;
  const rest = Object.entries(options).map(([key, value]) => `${key} ${value}`);
  return ["encap", type, labels?.join("/") ?? locator ?? "", ...rest].filter((w) => w !== "").join(
    " ",
  );
}
