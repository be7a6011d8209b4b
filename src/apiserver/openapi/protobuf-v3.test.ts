import { expect, test } from "vitest";
import { Reader, wireBytes, wireFixed64 } from "../../apimachinery/serializer/protobuf-wire.ts";
import { encodeOpenApiV3 } from "./protobuf-v3.ts";

/** A line for each value: the numbers of the fields that lead to it. What does not read as a message is text. */
function linesOf(bytes: Buffer, path = ""): string[] {
  // Text here is printable; lengths and tags of messages are not.
  if (path && /^[\x20-\x7e]*$/.test(bytes.toString("latin1"))) return [`${path} ${bytes.toString()}`];
  const reader = new Reader(bytes);
  const lines: string[] = [];
  while (!reader.done) {
    const tag = reader.uint();
    const at = path ? `${path}.${tag >>> 3}` : String(tag >>> 3);
    if ((tag & 7) === wireBytes) lines.push(...linesOf(reader.bytes(), at));
    else lines.push(`${at} ${(tag & 7) === wireFixed64 ? reader.double() : reader.uint()}`);
  }
  return lines;
}

test("an OpenAPI 3 document is written in the fields of gnostic's messages", () => {
  const bytes = encodeOpenApiV3({
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: "v1.36" },
    paths: {
      "/apis/x/v1/ys": {
        get: {
          operationId: "listY",
          parameters: [{ name: "limit", in: "query", schema: { type: "integer", uniqueItems: true } }],
          responses: {
            "200": { description: "OK", content: { "a/b": { schema: { $ref: "#/components/schemas/Y" } } } },
          },
          "x-kubernetes-action": "list",
        },
      },
    },
    components: {
      schemas: {
        Y: {
          type: "object",
          required: ["spec"],
          properties: {
            spec: { allOf: [{ $ref: "#/components/schemas/Z" }], default: 5 },
            free: { additionalProperties: true },
            list: { type: "array", items: { type: "string" }, maxItems: 7 },
          },
        },
      },
    },
  });
  expect(linesOf(bytes).join("\n")).toMatchInlineSnapshot(`
    "1 3.0.0
    2.1 Kubernetes
    2.6 v1.36
    4.1.1 /apis/x/v1/ys
    4.1.2.4.5 listY
    4.1.2.4.6.1.1 limit
    4.1.2.4.6.1.2 query
    4.1.2.4.6.1.10.1.25 integer
    4.1.2.4.6.1.10.1.20 1
    4.1.2.4.8.2.1 200
    4.1.2.4.8.2.2.1.1 OK
    4.1.2.4.8.2.2.1.3.1.1 a/b
    4.1.2.4.8.2.2.1.3.1.2.1.2.1 #/components/schemas/Y
    4.1.2.4.13.1 x-kubernetes-action
    4.1.2.4.13.2.2 list
    5.1.1.1 Y
    5.1.1.2.1.25 object
    5.1.1.2.1.23 spec
    5.1.1.2.1.31.1.1 spec
    5.1.1.2.1.31.1.2.1.26.2.1 #/components/schemas/Z
    5.1.1.2.1.31.1.2.1.33.1 5
    5.1.1.2.1.31.1.1 free
    5.1.1.2.1.31.1.2.1.32.2 1
    5.1.1.2.1.31.1.1 list
    5.1.1.2.1.31.1.2.1.25 array
    5.1.1.2.1.31.1.2.1.30.1.1.25 string
    5.1.1.2.1.31.1.2.1.18 7"
  `);
});
