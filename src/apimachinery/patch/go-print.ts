/** JSON values the way Go's `%v` prints them, which some of upstream's messages show: `map[a:1 b:[x y]]`. */
export function goPrint(value: unknown): string {
  if (value === null || value === undefined) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(goPrint).join(" ")}]`;
  if (typeof value !== "object") return String(value);
  const entries = Object.keys(value)
    .sort()
    .map((key) => `${key}:${goPrint((value as Record<string, unknown>)[key])}`);
  return `map[${entries.join(" ")}]`;
}

/** A copy whose members come sorted, as Go writes its maps. */
export function inKeyOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inKeyOrder);
  if (typeof value !== "object" || value === null) return value;
  const fields = value as Record<string, unknown>;
  return Object.fromEntries(
    Object.keys(fields)
      .sort()
      .map((name) => [name, inKeyOrder(fields[name])]),
  );
}
