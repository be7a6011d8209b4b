/** The body of a request could not be turned into an object of its kind. The message is upstream's, without what the API server puts around it. */
export class DecodeError extends Error {
  override name = "DecodeError";
}

/** What a decoder hands back. */
export interface Decoded<T> {
  object: T;
  /** Unknown and duplicate fields in document order, as `fieldValidation` reports them: `unknown field "spec.foo"`. At most 100. */
  problems: string[];
}

/** How much of a body an error message shows: text when it looks like JSON, else hexadecimal. */
export function summarizeBody(body: Uint8Array): string {
  const limit = 30;
  if (body.length === 0) return "<empty>";
  const isText = body[0] === 0x7b;
  const bytes = Buffer.from(body.buffer, body.byteOffset, Math.min(body.length, limit));
  return bytes.toString(isText ? "utf8" : "hex") + (body.length > limit ? " ..." : "");
}
