/**
 * Values as Go's fmt and strconv write them, for what kubectl prints with `%v`, `%#v` and `%q`. Pure.
 * A `number` is a float64, as JSON's numbers are there; a `bigint` is an int.
 */
import { escapes } from "../base/escapes.ts";
import { goQuote } from "../base/go-quote.ts";

/** `%v`: lists in brackets, maps as `map[key:value]`, nothing as `<nil>`. `isWhole`: whole numbers were read as ints. */
export function goValue(value: unknown, isWhole = false): string {
  if (value === null || value === undefined) return "<nil>";
  if (Array.isArray(value)) return `[${value.map((item) => goValue(item, isWhole)).join(" ")}]`;
  if (typeof value === "number") return goNumber(value, isWhole);
  if (typeof value !== "object") return String(value);
  return `map[${entriesInOrder(value)
    .map(([key, inner]) => `${key}:${goValue(inner, isWhole)}`)
    .join(" ")}]`;
}

/** `%#v`: the value as it would stand in a program. */
export function goSyntax(value: unknown, isWhole = false): string {
  if (value === null || value === undefined) return "interface {}(nil)";
  if (typeof value === "string") return goQuote(value);
  if (typeof value === "number") return goNumber(value, isWhole);
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return `[]interface {}{${value.map((item) => goSyntax(item, isWhole)).join(", ")}}`;
  return `map[string]interface {}{${entriesInOrder(value)
    .map(([key, inner]) => `${goQuote(key)}:${goSyntax(inner, isWhole)}`)
    .join(", ")}}`;
}

/** `%T` of what JSON holds. */
export function goType(value: unknown, isWhole = false): string {
  if (value === null || value === undefined) return "<nil>";
  if (Array.isArray(value)) return "[]interface {}";
  switch (typeof value) {
    case "string":
      return "string";
    case "boolean":
      return "bool";
    case "bigint":
      return "int";
    case "number":
      return isWhole && Number.isInteger(value) ? "int64" : "float64";
    default:
      return "map[string]interface {}";
  }
}

/** The entries in the order of their keys, as fmt and text/template go through maps. */
export function entriesInOrder(value: object): [string, unknown][] {
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function goNumber(value: number, isWhole: boolean): string {
  return isWhole && Number.isInteger(value) ? String(value) : goFloat(value);
}

/** A float64's shortest digits, with an exponent from a million on and below a ten-thousandth. */
export function goFloat(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  const [digits = "0", exponent = "0"] = value.toExponential().split("e");
  const power = Number(exponent);
  if (power >= -4 && power < 6)
    return String(value).includes("e") ? value.toFixed(24).replace(/0+$/, "") : String(value);
  return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

/** `%#U`: `U+002A '*'`. */
export function goCodePoint(character: string): string {
  const code = `U+${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0").toUpperCase()}`;
  return /[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(character) ? `${code} '${character}'` : code;
}

/** What stands between two quotes, its escapes resolved; undefined where it is not well-formed. */
export function goUnquote(text: string): string | undefined {
  const quote = text[0];
  if (text.length < 2 || quote !== text.at(-1) || (quote !== '"' && quote !== "'")) return undefined;
  const body = text.slice(1, -1);
  let result = "";
  const pattern = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{3})|([abfnrtv\\'"]))|[^\\]/gsu;
  let at = 0;
  for (const match of body.matchAll(pattern)) {
    const [whole, byte, short, long, octal, letter] = match;
    if (match.index !== at || whole === quote) return undefined;
    at += whole.length;
    const code = byte ?? short ?? long;
    if (code !== undefined) result += String.fromCodePoint(Number.parseInt(code, 16));
    else if (octal !== undefined) result += String.fromCodePoint(Number.parseInt(octal, 8));
    else if (letter === undefined) result += whole;
    else if (/['"]/.test(letter) && letter !== quote) return undefined;
    else result += escapes[letter] ?? letter;
  }
  return at === body.length ? result : undefined;
}
