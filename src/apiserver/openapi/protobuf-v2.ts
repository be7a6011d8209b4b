/** The OpenAPI 2 document in the protobuf form (gnostic's openapi.v2.Document) that older kubectl versions ask for. */
import { ReverseWriter } from "../../apimachinery/serializer/protobuf-wire.ts";
import {
  any,
  anys,
  body,
  bool,
  field,
  type Json,
  type Message,
  map,
  message,
  named,
  nested,
  string,
  strings,
  within,
} from "./protobuf-message.ts";

const info: Message = { fields: { title: [1, string], version: [2, string] } };

const schema: Message = {
  fields: {
    $ref: [1, string],
    format: [2, string],
    title: [3, string],
    description: [4, string],
    default: [5, any],
    pattern: [13, string],
    required: [19, strings],
    enum: [20, anys],
    additionalProperties: [21, { kind: "custom", write: writeAdditional }],
    // A type may be a list of types.
    type: [22, within(1, string)],
    // So may items be a list of schemas.
    items: [
      23,
      within(
        1,
        message(() => schema),
      ),
    ],
    allOf: [24, { kind: "messages", of: () => schema }],
    properties: [25, map(() => schema)],
  },
  extensions: 31,
};

const bodyParameter: Message = {
  fields: {
    description: [1, string],
    name: [2, string],
    in: [3, string],
    required: [4, bool],
    schema: [5, message(() => schema)],
  },
};

const queryParameter: Message = {
  fields: {
    required: [1, bool],
    in: [2, string],
    description: [3, string],
    name: [4, string],
    type: [6, string],
    uniqueItems: [20, bool],
  },
};

const pathParameter: Message = {
  fields: {
    required: [1, bool],
    in: [2, string],
    description: [3, string],
    name: [4, string],
    type: [5, string],
    uniqueItems: [19, bool],
  },
};

const response: Message = {
  fields: {
    description: [1, string],
    schema: [
      2,
      within(
        1,
        message(() => schema),
      ),
    ],
  },
};

/** Either a response or a reference to one; ours are all spelled out. */
const responseValue: Message = { fields: { response: [1, message(() => response)] } };

const operation: Message = {
  fields: {
    tags: [1, strings],
    summary: [2, string],
    description: [3, string],
    operationId: [5, string],
    produces: [6, strings],
    consumes: [7, strings],
    parameters: [8, { kind: "repeated", write: writeParameter }],
    responses: [9, { kind: "custom", write: writeResponses }],
    schemes: [10, strings],
  },
  extensions: 13,
};

const pathItem: Message = {
  fields: {
    get: [2, message(() => operation)],
    put: [3, message(() => operation)],
    post: [4, message(() => operation)],
    delete: [5, message(() => operation)],
    options: [6, message(() => operation)],
    head: [7, message(() => operation)],
    patch: [8, message(() => operation)],
    parameters: [9, { kind: "repeated", write: writeParameter }],
  },
};

const apiKey: Message = {
  fields: { type: [1, string], name: [2, string], in: [3, string], description: [4, string] },
};
const securityDefinition: Message = { fields: { apiKey: [2, message(() => apiKey)] } };

const document: Message = {
  fields: {
    swagger: [1, string],
    info: [2, message(() => info)],
    paths: [8, map(() => pathItem, 2)],
    definitions: [9, map(() => schema)],
    securityDefinitions: [13, map(() => securityDefinition)],
  },
};

export function encodeOpenApiV2(openApi: object): Buffer {
  const { security: _security, parameters: _parameters, securityDefinitions, ...rest } = openApi as Json;
  const definitions = Object.entries((securityDefinitions ?? {}) as Json);
  const wrapped = Object.fromEntries(definitions.map(([name, value]) => [name, { apiKey: value }]));
  const writer = new ReverseWriter(1024 * 1024);
  body(writer, document, { ...rest, securityDefinitions: wrapped });
  return writer.finish();
}

function writeAdditional(writer: ReverseWriter, value: unknown): void {
  if (typeof value === "boolean") field(writer, 2, bool, value);
  else
    field(
      writer,
      1,
      message(() => schema),
      value,
    );
}

function writeResponses(writer: ReverseWriter, value: unknown): void {
  for (const [code, item] of Object.entries(value as Json).reverse()) {
    named(writer, 1, code, () => body(writer, responseValue, { response: item }));
  }
}

function writeParameter(writer: ReverseWriter, value: unknown): void {
  const parameter = value as Json;
  nested(writer, 1, () => {
    if (parameter["in"] === "body") nested(writer, 1, () => body(writer, bodyParameter, parameter));
    else {
      nested(writer, 2, () => {
        const isQuery = parameter["in"] === "query";
        nested(writer, isQuery ? 3 : 4, () => body(writer, isQuery ? queryParameter : pathParameter, parameter));
      });
    }
  });
}
