/** Frame headers of every captured packet, both ways. */

import { expect, test } from "bun:test";
import { address, mac, readPackets } from "../../test/golden/packets/packet.ts";
import { decodeEthernet, encodeEthernetHeader, multicastMac } from "./ethernet.ts";

for (const { name, facts, frame } of readPackets()) {
  test(`${name}: header both ways`, () => {
    const header = {
      destination: mac(facts.frame.destination),
      source: mac(facts.frame.source),
      etherType: Number(facts.frame.etherType),
    };
    expect(decodeEthernet(frame)).toEqual({ ...header, payload: frame.subarray(14) });
    expect(encodeEthernetHeader(header)).toEqual(frame.slice(0, 14));
    for (let length = 0; length < 14; length++) {
      expect(decodeEthernet(frame.subarray(0, length))).toBe("length");
    }
  });
}

test("hardware addresses of groups are those of the captures and the RFCs", () => {
  const table = [
    ["224.0.0.18", "01:00:5e:00:00:12"],
    ["239.255.128.1", "01:00:5e:7f:80:01"], // the high bit of the second byte is lost
    ["ff02::12", "33:33:00:00:00:12"],
    ["ff02::1:ffab:cdef", "33:33:ff:ab:cd:ef"],
  ] as const;
  for (const [group, expected] of table) {
    expect(multicastMac(address(group))).toEqual(mac(expected));
  }
});
