export function encodeOpenApiV2(_document: object): Buffer {
  throw new Error("not there");
}
