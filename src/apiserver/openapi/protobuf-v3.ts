/** An OpenAPI 3 document in its protobuf form: gnostic's openapi.v3.Document. */
import { ReverseWriter } from "../../apimachinery/serializer/protobuf-wire.ts";
import {
  any,
  anys,
  body,
  bool,
  double,
  field,
  int,
  type Json,
  type Message,
  map,
  message,
  named,
  type Shape,
  string,
  strings,
  within,
} from "./protobuf-message.ts";

const reference: Message = { fields: { $ref: [1, string] } };
const info: Message = { fields: { title: [1, string], description: [2, string], version: [6, string] } };

/** A schema, or a reference to one. */
const schemaOrReference: Shape = { kind: "custom", write: writeSchemaOrReference };
const schemas: Shape = { kind: "repeated", write: writeSchemaOrReference };
/** Schemas by name. */
const namedSchemas: Shape = {
  kind: "custom",
  write: (writer, value) => writeNamed(writer, 1, value, writeSchemaOrReference),
};

/** Responses or security schemes by name, spelled out: none of ours refers to another. */
const namedWithin = (number: number, shape: Shape): Shape => ({
  kind: "custom",
  write: (writer, value) => writeNamed(writer, number, value, (inner, one) => field(inner, 1, shape, one)),
});

const schema: Message = {
  fields: {
    nullable: [1, bool],
    readOnly: [3, bool],
    writeOnly: [4, bool],
    example: [7, any],
    deprecated: [8, bool],
    title: [9, string],
    multipleOf: [10, double],
    maximum: [11, double],
    exclusiveMaximum: [12, bool],
    minimum: [13, double],
    exclusiveMinimum: [14, bool],
    maxLength: [15, int],
    minLength: [16, int],
    pattern: [17, string],
    maxItems: [18, int],
    minItems: [19, int],
    uniqueItems: [20, bool],
    maxProperties: [21, int],
    minProperties: [22, int],
    required: [23, strings],
    enum: [24, anys],
    type: [25, string],
    allOf: [26, schemas],
    oneOf: [27, schemas],
    anyOf: [28, schemas],
    not: [29, message(() => schema)],
    items: [30, within(1, schemaOrReference)],
    properties: [31, namedSchemas],
    additionalProperties: [32, { kind: "custom", write: writeAdditional }],
    default: [33, { kind: "custom", write: writeDefault }],
    description: [34, string],
    format: [35, string],
  },
  extensions: 36,
};

const mediaType: Message = { fields: { schema: [1, schemaOrReference] } };
const content: Shape = map(() => mediaType);

const parameter: Message = {
  fields: {
    name: [1, string],
    in: [2, string],
    description: [3, string],
    required: [4, bool],
    schema: [10, schemaOrReference],
  },
};
/** None of ours refers to another. */
const parameters: Shape = {
  kind: "repeated",
  write: (writer, value) =>
    field(
      writer,
      1,
      message(() => parameter),
      value,
    ),
};

const requestBody: Message = { fields: { description: [1, string], content: [2, content], required: [3, bool] } };
const response: Message = { fields: { description: [1, string], content: [3, content] } };

const operation: Message = {
  fields: {
    tags: [1, strings],
    summary: [2, string],
    description: [3, string],
    operationId: [5, string],
    parameters: [6, parameters],
    requestBody: [
      7,
      within(
        1,
        message(() => requestBody),
      ),
    ],
    responses: [
      8,
      namedWithin(
        2,
        message(() => response),
      ),
    ],
    deprecated: [10, bool],
  },
  extensions: 13,
};

const pathItem: Message = {
  fields: {
    description: [3, string],
    get: [4, message(() => operation)],
    put: [5, message(() => operation)],
    post: [6, message(() => operation)],
    delete: [7, message(() => operation)],
    options: [8, message(() => operation)],
    head: [9, message(() => operation)],
    patch: [10, message(() => operation)],
    parameters: [13, parameters],
  },
};

const securityScheme: Message = {
  fields: { type: [1, string], description: [2, string], name: [3, string], in: [4, string] },
};

const components: Message = {
  fields: {
    schemas: [1, namedSchemas],
    securitySchemes: [
      7,
      namedWithin(
        1,
        message(() => securityScheme),
      ),
    ],
  },
};

const document: Message = {
  fields: {
    openapi: [1, string],
    info: [2, message(() => info)],
    paths: [4, map(() => pathItem)],
    components: [5, message(() => components)],
  },
};

export function encodeOpenApiV3(openApi: object): Buffer {
  const writer = new ReverseWriter(256 * 1024);
  body(writer, document, openApi as Json);
  return writer.finish();
}

function writeSchemaOrReference(writer: ReverseWriter, value: unknown): void {
  const isReference = (value as Json)["$ref"] !== undefined;
  const type = isReference ? reference : schema;
  field(
    writer,
    isReference ? 2 : 1,
    message(() => type),
    value,
  );
}

function writeAdditional(writer: ReverseWriter, value: unknown): void {
  if (typeof value === "boolean") field(writer, 2, bool, value);
  else field(writer, 1, schemaOrReference, value);
}

/** The form has room for single values only. */
function writeDefault(writer: ReverseWriter, value: unknown): void {
  if (typeof value === "number") field(writer, 1, double, value);
  else if (typeof value === "boolean") field(writer, 2, bool, value);
  else if (typeof value === "string") field(writer, 3, string, value);
}

/** A member of each name, as (name, value) pairs in field `number`. */
function writeNamed(
  writer: ReverseWriter,
  number: number,
  value: unknown,
  write: (writer: ReverseWriter, one: unknown) => void,
): void {
  for (const [name, one] of Object.entries(value as Json).reverse()) {
    named(writer, number, name, (inner) => write(inner, one));
  }
}
