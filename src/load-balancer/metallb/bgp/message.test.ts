import { describe, expect, test } from "vitest";
import {
  BgpError,
  encodeAnnouncements,
  encodeKeepalive,
  encodeNotification,
  encodeOpen,
  encodeWithdrawals,
  MessageReader,
} from "./message.ts";

const external = { myAsn: 64512, peerAsn: 64513, hasFourOctetAsn: true };
const route = { nextHop: "192.0.2.4", communities: [] };
const body = (message: Buffer | undefined) => message!.subarray(19).toString("hex");

test("an OPEN comes out as it went in, also with an AS number of four octets, in whatever pieces it arrives", () => {
  const open = { asn: 4_200_000_000, holdTimeSeconds: 9, routerId: "192.0.2.4" };
  const bytes = Buffer.concat([encodeOpen(open), encodeKeepalive(), encodeNotification(6, 2)]);
  const reader = new MessageReader();
  const messages = [...bytes].flatMap((byte) => reader.read(Uint8Array.of(byte)));
  expect(messages).toEqual([
    { kind: "open", open: { ...open, hasFourOctetAsn: true } },
    { kind: "keepalive" },
    { kind: "notification", code: 6, subcode: 2 },
  ]);
});

test("routes carry origin, path, next hop and communities", () => {
  const [message] = encodeAnnouncements(
    ["203.0.113.10/32", "198.51.100.0/24"],
    { ...route, communities: ["64512:77", "no-export", "large:64512:1:2", "nonsense"] },
    external,
  );
  expect(body(message)).toBe(
    [
      "0000", // nothing withdrawn
      "002e",
      "40010100",
      "4002060201" + "0000fc00",
      "400304c0000204",
      "c00808fc00004dffffff01",
      "c0200c0000fc000000000100000002",
      "20cb00710a",
      "18c63364",
    ].join(""),
  );
});

test("within one AS the path is empty and the preference told; an old peer gets two octets", () => {
  const internal = { myAsn: 64512, peerAsn: 64512, hasFourOctetAsn: true };
  expect(body(encodeAnnouncements(["203.0.113.1/32"], { ...route, localPref: 200 }, internal)[0])).toContain(
    "400200" + "400304c0000204" + "400504000000c8",
  );
  expect(body(encodeAnnouncements(["203.0.113.1/32"], route, { ...external, hasFourOctetAsn: false })[0])).toContain(
    "4002040201fc00",
  );
  const large = { myAsn: 4_200_000_000, peerAsn: 64513, hasFourOctetAsn: false };
  expect(body(encodeAnnouncements(["203.0.113.1/32"], route, large)[0])).toContain("40020402015ba0");
});

test("many prefixes go in as few messages as they fit into", () => {
  const prefixes = Array.from({ length: 2000 }, (_, i) => `10.0.${i >> 8}.${i & 255}/32`);
  const messages = encodeAnnouncements(prefixes, route, external);
  expect(messages.length).toBe(3);
  for (const message of messages) expect(message.length).toBeLessThanOrEqual(4096);
  expect(encodeWithdrawals(prefixes).length).toBe(3);
  expect(encodeWithdrawals([])).toEqual([]);
});

describe("what is no BGP is refused with its reason", () => {
  const broken = (change: (bytes: Buffer) => void) => (): unknown => {
    const bytes = encodeOpen({ asn: 64512, holdTimeSeconds: 90, routerId: "192.0.2.4" });
    change(bytes);
    return new MessageReader().read(bytes);
  };
  test.each([
    ["a marker that is none", (bytes: Buffer) => bytes.fill(0, 3, 4), { code: 1, subcode: 1 }],
    ["a length below the header's", (bytes: Buffer): unknown => bytes.writeUInt16BE(5, 16), { code: 1, subcode: 2 }],
    ["a length beyond the longest", (bytes: Buffer): unknown => bytes.writeUInt16BE(5000, 16), { code: 1, subcode: 2 }],
    ["a type that nobody knows", (bytes: Buffer) => bytes.fill(9, 18, 19), { code: 1, subcode: 3 }],
    ["another version", (bytes: Buffer) => bytes.fill(3, 19, 20), { code: 2, subcode: 1 }],
    ["a hold time of a second", (bytes: Buffer): unknown => bytes.writeUInt16BE(1, 22), { code: 2, subcode: 6 }],
    ["parameters longer than the message", (bytes: Buffer) => bytes.fill(200, 28, 29), { code: 2, subcode: 0 }],
  ] as const)("%s", (_, change, reason) => {
    expect(broken(change)).toThrow(expect.objectContaining({ ...reason, name: BgpError.name }));
  });
});
