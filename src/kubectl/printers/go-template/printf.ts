/** Go's fmt.Sprintf, as far as what templates hold goes. Pure. */
import { goQuote } from "../../../base/go-quote.ts";
import { goFloat, goSyntax, goType, goValue } from "../../go-format.ts";

/** What is wrong stands in the text, as Go puts it there: `%!d(string=x)`. */
export function goPrintf(format: string, args: readonly unknown[]): string {
  let next = 0;
  const text = format.replace(
    /%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d*))?([^\d]|$)/gsu,
    (_, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === "%") return "%";
      const amount = (given: string | undefined) =>
        given === "*" ? Number(args[next++]) : given === undefined ? undefined : Number(given);
      const [columns, digits] = [amount(width), amount(precision)];
      if (verb === "") return "%!(NOVERB)";
      if (next >= args.length) return `%!${verb}(MISSING)`;
      return padded(shown(args[next++], verb, flags, digits), flags, columns ?? 0);
    },
  );
  const extra = args
    .slice(next)
    .map((arg) => (isNothing(arg) ? "<nil>" : `${goType(arg, true)}=${goValue(arg, true)}`));
  return extra.length > 0 ? `${text}%!(EXTRA ${extra.join(", ")})` : text;
}

const isNothing = (value: unknown): boolean => value === undefined || value === null;

function padded(text: string, flags: string, width: number): string {
  const missing = width - [...text].length;
  if (missing <= 0) return text;
  if (flags.includes("-")) return text + " ".repeat(missing);
  if (!flags.includes("0")) return " ".repeat(missing) + text;
  const sign = /^[+-]/.exec(text)?.[0] ?? "";
  return sign + "0".repeat(missing) + text.slice(sign.length);
}

function shown(value: unknown, verb: string, flags: string, precision: number | undefined): string {
  if (verb === "T") return goType(value, true);
  if (verb === "v") return flags.includes("#") ? goSyntax(value, true) : goValue(value, true);
  if (Array.isArray(value)) return `[${value.map((item) => shown(item, verb, flags, precision)).join(" ")}]`;
  if (typeof value === "string") return textShown(value, verb, flags, precision) ?? wrong(value, verb);
  if (typeof value === "boolean" && verb === "t") return String(value);
  const isInt = typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value));
  if (isInt) return intShown(BigInt(value), verb, flags) ?? wrong(value, verb);
  if (typeof value === "number") return floatShown(value, verb, flags, precision) ?? wrong(value, verb);
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    const parts = entries.map(
      ([key, item]) => `${shown(key, verb, flags, precision)}:${shown(item, verb, flags, precision)}`,
    );
    return `map[${parts.join(" ")}]`;
  }
  return wrong(value, verb);
}

function wrong(value: unknown, verb: string): string {
  return isNothing(value) ? `%!${verb}(<nil>)` : `%!${verb}(${goType(value, true)}=${goValue(value, true)})`;
}

function textShown(value: string, verb: string, flags: string, precision: number | undefined): string | undefined {
  const text = precision === undefined ? value : [...value].slice(0, precision).join("");
  if (verb === "s") return text;
  if (verb === "q") return flags.includes("#") && !/[`\n]/.test(text) ? `\`${text}\`` : goQuote(text);
  const bytes = Buffer.from(value).toString("hex");
  return { x: bytes, X: bytes.toUpperCase() }[verb];
}

function intShown(value: bigint, verb: string, flags: string): string | undefined {
  const radix = { d: 10, x: 16, X: 16, o: 8, O: 8, b: 2 }[verb];
  if (verb === "c") return String.fromCodePoint(Number(value));
  if (verb === "q") return goQuote(String.fromCodePoint(Number(value)), "'");
  if (verb === "U") return `U+${value.toString(16).toUpperCase().padStart(4, "0")}`;
  if (radix === undefined) return undefined;
  const sign = value < 0n ? "-" : flags.includes("+") ? "+" : flags.includes(" ") ? " " : "";
  const digits = (value < 0n ? -value : value).toString(radix);
  const prefix = verb === "O" ? "0o" : flags.includes("#") ? ({ x: "0x", X: "0X", o: "0", b: "0b" }[verb] ?? "") : "";
  return sign + prefix + (verb === "X" ? digits.toUpperCase() : digits);
}

function floatShown(value: number, verb: string, flags: string, precision: number | undefined): string | undefined {
  const sign = value >= 0 && flags.includes("+") ? "+" : "";
  if (verb === "f" || verb === "F") return sign + value.toFixed(precision ?? 6);
  if (verb === "e" || verb === "E") {
    const text = value.toExponential(precision ?? 6).replace(/e([+-])(\d)$/, "e$10$2");
    return sign + (verb === "E" ? text.toUpperCase() : text);
  }
  if (verb === "g" || verb === "G")
    return sign + (precision === undefined ? goFloat(value) : String(Number(value.toPrecision(precision || 1))));
  return undefined;
}
