import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addressRecord, classInternet, type Message, nameRecord, RecordType, type ResourceRecord } from "./message.ts";
import { decodeHeader, decodeMessage, encodeMessage, WireError } from "./wire.ts";

const message = (more: Partial<Message> = {}): Message => ({
  id: 7,
  isResponse: true,
  opcode: 0,
  authoritative: true,
  truncated: false,
  recursionDesired: true,
  recursionAvailable: true,
  checkingDisabled: false,
  rcode: 0,
  questions: [{ name: "web.default.svc.cluster.local", type: RecordType.A, class: classInternet }],
  answers: [],
  authority: [],
  additional: [],
  ...more,
});

const record = (type: number, data: ResourceRecord["data"]): ResourceRecord => ({
  name: "a.example",
  type,
  class: 1,
  ttl: 30,
  data,
});

test("a message survives writing and reading, EDNS and every kind of record included", () => {
  const full = message({
    rcode: 16,
    answers: [
      addressRecord("web.default.svc.cluster.local", Uint8Array.of(10, 96, 0, 20), 30),
      addressRecord("web.default.svc.cluster.local", new Uint8Array(16).fill(1), 30),
      nameRecord("x.example", RecordType.CNAME, "y.example", 4_000_000_000),
      record(RecordType.MX, { kind: "mx", preference: 10, exchange: "mail.example" }),
      record(RecordType.SRV, {
        kind: "srv",
        priority: 0,
        weight: 100,
        port: 80,
        target: "web.default.svc.cluster.local",
      }),
      record(99, { kind: "bytes", bytes: Uint8Array.of(1, 2, 3) }),
    ],
    authority: [
      record(RecordType.SOA, {
        kind: "soa",
        primary: "ns.example",
        mailbox: "root.example",
        serial: 2 ** 32 - 1,
        refresh: 2,
        retry: 3,
        expire: 4,
        minimum: 5,
      }),
      record(RecordType.NS, { kind: "name", name: "" }),
    ],
    edns: { udpSize: 1232, version: 0, dnssecOk: true },
  });
  expect(decodeMessage(encodeMessage(full))).toEqual(full);
});

test("names are compressed: a second answer costs sixteen bytes", () => {
  const answers = (count: number) =>
    Array.from({ length: count }, (_, i) =>
      addressRecord("web.default.svc.cluster.local", Uint8Array.of(10, 0, 0, i), 30),
    );
  const size = (count: number) => encodeMessage(message({ answers: answers(count) })).length;
  expect(size(2) - size(1)).toBe(16);
});

test("names are read in lower case, and bytes that no name has are kept apart from dots", () => {
  const bytes = encodeMessage(message({ questions: [{ name: "a\\046b.\\255\\065.c", type: 1, class: 1 }] }));
  expect(decodeMessage(bytes).questions[0]!.name).toBe("a\\046b.\\255a.c");
});

test("what does not fit is cut: answers with a flag, additional records without", () => {
  const answers = Array.from({ length: 100 }, (_, i) =>
    addressRecord("web.default.svc.cluster.local", Uint8Array.of(10, 0, 0, i), 30),
  );
  const edns = { udpSize: 4096, version: 0, dnssecOk: false };
  const cut = encodeMessage(message({ answers, edns }), 512);
  expect(cut.length).toBeLessThanOrEqual(512);
  const read = decodeMessage(cut);
  expect(read.truncated).toBe(true);
  expect(read.answers.length).toBeGreaterThan(20);
  expect(read.edns).toEqual(edns);
  const trimmed = decodeMessage(encodeMessage(message({ answers: answers.slice(0, 2), additional: answers }), 512));
  expect(trimmed.truncated).toBe(false);
  expect(trimmed.answers.length).toBe(2);
  expect(trimmed.additional.length).toBeLessThan(100);
});

describe("hostile packets", () => {
  const header = (questions: number, answers = 0) => [0, 1, 1, 0, 0, questions, 0, answers, 0, 0, 0, 0];
  test.each<[string, number[]]>([
    ["a pointer to itself", [...header(1), 0xc0, 12, 0, 1, 0, 1]],
    ["a pointer forwards", [...header(1), 0xc0, 14, 0, 1, 0, 1]],
    ["two pointers at each other", [...header(1), 1, 97, 0xc0, 14, 0xc0, 12]],
    ["a name without end", [...header(1), 63]],
    ["a reserved label type", [...header(1), 0x80, 0, 0, 1, 0, 1]],
    [
      "a name longer than 255 bytes",
      [...header(1), ...new Array(5).fill([63, ...new Array(63).fill(97)]).flat(), 0, 0, 1, 0, 1],
    ],
    ["more records announced than there are", header(65535 & 255, 255)],
    ["a record length beyond the end", [...header(0, 1), 0, 0, 1, 0, 1, 0, 0, 0, 0, 255, 255, 1]],
    [
      "a record length that its names disagree with",
      [...header(0, 1), 0, 0, 5, 0, 1, 0, 0, 0, 0, 0, 9, 1, 97, 0, 0, 0, 0, 0, 0, 0],
    ],
    ["half a header", [0, 1, 1]],
  ])("%s is refused", (_, bytes) => expect(() => decodeMessage(Uint8Array.from(bytes))).toThrow(WireError));

  test("no bytes whatever do more than throw WireError", () => {
    const near = fc.tuple(fc.uint8Array({ maxLength: 80 }), fc.nat(79), fc.nat(255)).map(([noise, at, value]) => {
      const bytes = Uint8Array.from([
        ...encodeMessage(message({ answers: [nameRecord("x.y.z", 5, "a.y.z", 1)] })),
        ...noise,
      ]);
      bytes[at] = value;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), near), (bytes) => {
        decodeHeader(bytes);
        try {
          const decoded = decodeMessage(bytes);
          expect(decodeMessage(encodeMessage(decoded))).toBeTruthy();
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
        }
      }),
      { numRuns: 3000 },
    );
  });
});
