/** The body of a request could not be turned into an object of its kind. The message is upstream's, without what the API server puts around it. */
export class DecodeError extends Error {
  override name = "DecodeError";
}

/** A value is not of its field's type. */
export class MismatchError extends DecodeError {
  readonly #value: unknown;
  readonly #goType: string;

  readonly #isText: boolean;

  /** `isText`: a string, or a type made of one. */
  constructor(message: string, value: unknown, goType: string, isText: boolean) {
    super(message);
    this.#isText = isText;
    this.#value = value;
    this.#goType = goType;
  }

  /** What upstream's converter says of it, where the object was never text: in strategic merge patches. */
  get conversionProblem(): string {
    const goType = this.#goType.replace(/^\*/, "");
    const found = kindOf(this.#value);
    if (goType.startsWith("map[")) return `cannot restore map from ${found}`;
    if (goType.startsWith("[]")) return `cannot restore slice from ${found}`;
    if (this.#isText) return found === "int64" ? `cannot convert int64 to ${goType}` : "unrecognized type: string";
    if (goType.startsWith("int") && found === "float64") return `cannot convert float64 to ${goType}`;
    const isNumberOrBool = /^(bool|int\d*|float\d*)$/.test(goType);
    return isNumberOrBool ? `unrecognized type: ${goType}` : `cannot restore struct from: ${found}`;
  }
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "slice";
  if (typeof value === "number") return Number.isInteger(value) ? "int64" : "float64";
  if (typeof value === "boolean") return "bool";
  return typeof value === "string" ? "string" : "map";
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
