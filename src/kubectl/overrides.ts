/** `--overrides`: inline JSON that changes an object before it is made. */
import type { Unstructured } from "./api.ts";
import { CommandError } from "./command-error.ts";
import type { Flag, FlagValues } from "./flags.ts";
import { type PatchType, patchLocally } from "./local-patch.ts";

export const overrideFlags: readonly Flag[] = [
  { name: "overrides", kind: "string", help: "JSON that changes the object before it is made" },
  { name: "override-type", kind: "string", default: "merge", help: "what that JSON is: merge, json or strategic" },
];

/** Throws a CommandError in kubectl's words for what is no such patch. */
export async function withOverrides(flags: FlagValues, object: Unstructured): Promise<Unstructured> {
  const text = flags.string("overrides");
  if (!text) return object;
  const type = flags.string("override-type");
  if (!["merge", "json", "strategic"].includes(type)) throw new CommandError(`invalid override type: ${type}`);
  try {
    return await patchLocally(object, JSON.parse(text), type as PatchType);
  } catch {
    throw new CommandError(type === "json" ? "Error in applying JSON patch" : "Invalid JSON Patch");
  }
}
