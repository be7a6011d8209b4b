/** JSON pointers into answers (RFC 6901), with `*` for any member and `**` for any depth where something is dropped. */

export function pointerSteps(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

export function valueAt(value: unknown, pointer: string): unknown {
  let at = value;
  for (const step of pointerSteps(pointer)) {
    if (typeof at !== "object" || at === null) return undefined;
    at = (at as Record<string, unknown>)[step];
  }
  return at;
}

/** Takes what the pointer names out of `value`, in place. */
export function dropAt(value: unknown, [step, ...rest]: readonly string[]): void {
  if (typeof value !== "object" || value === null || step === undefined) return;
  if (step === "**") {
    dropAt(value, rest);
    for (const member of Object.values(value)) dropAt(member, [step, ...rest]);
  } else if (step === "*") {
    for (const member of rest.length > 0 ? Object.values(value) : []) dropAt(member, rest);
  } else if (rest.length > 0) {
    dropAt((value as Record<string, unknown>)[step], rest);
  } else if (Array.isArray(value)) value.splice(Number(step), 1);
  else delete (value as Record<string, unknown>)[step];
}

export interface Difference {
  pointer: string;
  expected: unknown;
  got: unknown;
}

/** Where two documents differ. Absent and undefined are the same. */
export function differences(expected: unknown, got: unknown, pointer = "", found: Difference[] = []): Difference[] {
  if (expected === got || found.length > 40) return found;
  const bothContain = typeof expected === "object" && typeof got === "object" && expected !== null && got !== null;
  if (!bothContain || Array.isArray(expected) !== Array.isArray(got)) {
    found.push({ pointer: pointer || "/", expected, got });
    return found;
  }
  const left = expected as Record<string, unknown>;
  const right = got as Record<string, unknown>;
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    differences(left[key], right[key], `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`, found);
  }
  return found;
}
