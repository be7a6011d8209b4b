import { describe, expect, test } from "vitest";
import { HpackDecoder } from "./hpack-decoder.ts";
import { HpackEncoder } from "./hpack-encoder.ts";

function fieldsOf(decoder: HpackDecoder, block: Buffer): [string, string][] {
  const fields: [string, string][] = [];
  decoder.decode(block, (name, value) => fields.push([name, value]));
  return fields;
}

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

describe("reading", () => {
  test("requests as RFC 7541 gives them in C.4: in the Huffman code, the later ones by reference to the former", () => {
    const decoder = new HpackDecoder();
    const first = [
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/"],
      [":authority", "www.example.com"],
    ];
    expect(fieldsOf(decoder, hex("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"))).toEqual(first);
    expect(fieldsOf(decoder, hex("8286 84be 5886 a8eb 1064 9cbf"))).toEqual([...first, ["cache-control", "no-cache"]]);
    expect(fieldsOf(decoder, hex("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"))).toEqual([
      [":method", "GET"],
      [":scheme", "https"],
      [":path", "/index.html"],
      [":authority", "www.example.com"],
      ["custom-key", "custom-value"],
    ]);
  });

  test.each([
    ["a header that nobody has sent", "c6"],
    ["a string that is cut short", "0005 61"],
    ["a number without end", "ffffffffffff"],
    ["a table larger than allowed", "3fe2 1f"],
    ["padding of eight bits", "0081 ff 81 ff"],
    ["padding that is not of ones", "0081 00 81 00"],
  ])("what cannot be read ends the connection: %s", (_, block) => {
    expect(() => fieldsOf(new HpackDecoder(), hex(block))).toThrow(expect.objectContaining({ code: 9 }));
  });

  test("any bytes are read or refused, and nothing else", () => {
    let state = 1;
    const byte = () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state >>> 24;
    };
    for (let run = 0; run < 5000; run++) {
      const block = Buffer.from(Array.from({ length: run % 40 }, byte));
      try {
        fieldsOf(new HpackDecoder(), block);
      } catch (error) {
        expect(error).toMatchObject({ name: "ConnectionError", code: 9 });
      }
    }
  });
});

describe("writing", () => {
  test("what is written is read again, over many blocks that push each other out of the table", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    for (let i = 0; i < 400; i++) {
      if (i === 100) encoder.limit(256);
      if (i === 200) encoder.limit(0);
      if (i === 300) encoder.limit(4096);
      const headers = {
        "content-type": i % 7 === 0 ? "application/json" : "text/plain",
        "x-long": "v".repeat((i * 13) % 300),
        "x-same": "always",
        "audit-id": `id-${i}`,
        warning: i % 5 === 0 ? ["299 - one", "299 - two"] : [],
        "content-length": i,
        [`x-${i % 60}`]: "é",
      };
      const expected = Object.entries(headers).flatMap(([name, value]) =>
        (Array.isArray(value) ? value : [String(value)]).map((one) => [name, one]),
      );
      const status = [200, 201, 404, 503][i % 4]!;
      const block = Buffer.from(encoder.encode(status, headers));
      expect(fieldsOf(decoder, block)).toEqual([[":status", String(status)], ...expected]);
    }
  });

  test("what is the same in each response is a byte", () => {
    const encoder = new HpackEncoder();
    const headers = { "content-type": "application/json", "cache-control": "no-cache, private", date: "today" };
    expect(encoder.encode(200, headers).length).toBeGreaterThan(40);
    expect(encoder.encode(200, headers).length).toBe(4);
  });
});
