/** JSON in and out, with what `fieldValidation` wants to know of the input. */
import type { TypeSchema } from "../../api/schema.ts";
import { type ConformOptions, conform } from "../strict-decode.ts";
import { holdsBigIntegers, parseExactly, stringifyExactly } from "./big-integers.ts";
import { type Decoded, DecodeError } from "./decode-error.ts";
import { countTextKeys, strictProblems, syntaxProblem } from "./json-scan.ts";
import { literalsOf } from "./number-literals.ts";

/** Any JSON. Throws DecodeError with Go's message: `unexpected end of JSON input`. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DecodeError(syntaxProblem(text), { cause });
  }
}

/**
 * An object of a known type from its text. `value` is the text already parsed, when the caller had to look at its kind first.
 * Throws DecodeError; unknown and duplicate fields are no errors here but problems in the result.
 */
export function decodeJson<T>(text: string, type: TypeSchema, value: unknown = parseJson(text)): Decoded<T> {
  const asWritten = () => literalsOf(text);
  let conformed = conform<T>(value, type, { asWritten });
  if (conformed.mayBeWide && holdsBigIntegers(text))
    conformed = conform<T>(parseExactly(text, value), type, { asWritten });
  const { object, hasUnknown, keys } = conformed;
  const suspicious = hasUnknown || keys !== countTextKeys(text);
  return { object, problems: suspicious ? strictProblems(text, type) : [] };
}

/** The same for an object that never was text, such as a patch's result: it has no duplicates. */
export function decodeValue<T>(value: unknown, type: TypeSchema, options?: ConformOptions): Decoded<T> {
  const { object, hasUnknown } = conform<T>(value, type, options);
  return { object, problems: hasUnknown ? strictProblems(stringifyExactly(value), type) : [] };
}

/** What upstream says when it cannot even read apiVersion and kind. `null` counts as an empty object. */
export function readTypeMeta(value: unknown): { apiVersion: string; kind: string } {
  if (value === null) return { apiVersion: "", kind: "" };
  const refuse = (found: unknown, place: string): never => {
    const what = Array.isArray(found) ? "array" : typeof found === "boolean" ? "bool" : typeof found;
    throw new DecodeError(`couldn't get version/kind; json parse error: json: cannot unmarshal ${what} into ${place}`);
  };
  if (typeof value !== "object" || Array.isArray(value)) return refuse(value, `Go value of type ${typeMetaStruct}`);
  const { apiVersion = "", kind = "" } = value as { apiVersion?: unknown; kind?: unknown };
  if (apiVersion !== null && typeof apiVersion !== "string")
    return refuse(apiVersion, "Go struct field .apiVersion of type string");
  if (kind !== null && typeof kind !== "string") return refuse(kind, "Go struct field .kind of type string");
  return { apiVersion: apiVersion ?? "", kind: kind ?? "" };
}

const typeMetaStruct = String.raw`struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }`;
