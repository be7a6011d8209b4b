/** Turns API objects into upstream's internal form, by a table of structs. */
import { givenEmpty } from "../apimachinery/given-empties.ts";

/** See the table in core/internal-form.ts for the notation. */
export type InternalStructs = Readonly<Record<string, string>>;

interface Field {
  name: string;
  json: string;
  /** What stands there when the field is absent. */
  absent: "" | 0 | false | null;
  struct?: string;
  list: boolean;
  pointer: boolean;
}

type Print = (struct: string, object: unknown) => Record<string, unknown>;

export function internalPrinter(structs: InternalStructs): Print {
  const parsed = new Map<string, Field[]>();
  const fieldsOf = (struct: string): Field[] => {
    let fields = parsed.get(struct);
    if (!fields) {
      const line = structs[struct];
      if (line === undefined) throw new Error(`no internal struct ${struct}`);
      parsed.set(struct, (fields = line.split(" ").map(parseField)));
    }
    return fields;
  };
  const print: Print = (struct, object) => {
    const source = (object ?? {}) as Record<string, unknown>;
    const printed: Record<string, unknown> = {};
    for (const field of fieldsOf(struct)) {
      printed[field.name] = printField(field, source[field.json] ?? givenEmpty(source, field.json), print);
    }
    return printed;
  };
  return print;
}

function printField({ absent, struct, list, pointer }: Field, value: unknown, print: Print): unknown {
  if (!struct) return value ?? absent;
  if (value === undefined || value === null) return list || pointer ? null : print(struct, {});
  return list ? (value as unknown[]).map((item) => print(struct, item)) : print(struct, value);
}

function parseField(text: string): Field {
  const [, name = "", json, mark = ""] = /^(\w+)(?:=(\w+))?(.*)$/.exec(text) ?? [];
  const struct = mark.startsWith(":") ? mark.slice(1).replace(/^(\*|\[\])/, "") : undefined;
  return {
    name,
    json: json ?? jsonName(name),
    absent: mark === "#" ? 0 : mark === "?" ? false : mark === "*" ? null : "",
    ...(struct ? { struct } : {}),
    list: mark.startsWith(":[]"),
    pointer: mark.startsWith(":*"),
  };
}

/** `DNSPolicy` → `dnsPolicy`, `TTY` → `tty`, `HostPID` → `hostPID`. */
function jsonName(name: string): string {
  return name.replace(/^(?:[A-Z]+(?=[A-Z][a-z]|$)|[A-Z])/, (head) => head.toLowerCase());
}
