/** What verbs that write have in common: dry runs, field managers, validation, and how they report what they did. */
import type { Unstructured } from "./api.ts";
import { CommandError } from "./command-error.ts";
import type { Flag, FlagValues } from "./flags.ts";
import { outputFlags, printerOf } from "./printers/printer.ts";
import { type ApiResource, kindText } from "./resource-catalog.ts";
import type { Session } from "./session.ts";

export const dryRunFlag: Flag = {
  name: "dry-run",
  kind: "string",
  default: "none",
  bare: "unchanged",
  help: "none, server (ask, but keep nothing) or client (only print what would be sent)",
};

/** For verbs that write objects. */
export function writeFlags(fieldManager: string): Flag[] {
  return [
    dryRunFlag,
    { name: "field-manager", kind: "string", default: fieldManager, help: "who the fields are booked under" },
    ...outputFlags,
  ];
}

export const validateFlag: Flag = {
  name: "validate",
  kind: "string",
  default: "strict",
  bare: "strict",
  help: "strict (or true), warn, or ignore (or false): what becomes of unknown and duplicate fields",
};

export type DryRun = "none" | "client" | "server";

export function dryRunOf(flags: FlagValues): DryRun {
  if (!flags.knows("dry-run")) return "none";
  const value = flags.string("dry-run");
  if (value === "unchanged" || value === "true") return "client";
  if (value === "false") return "none";
  if (value === "none" || value === "client" || value === "server") return value;
  throw new CommandError(`Invalid dry-run value (${value}). Must be "none", "server", or "client".`);
}

/** The query of a write: dry run, manager, validation, as far as the verb has these flags. */
export function writeQuery(flags: FlagValues, more: Record<string, string> = {}): string {
  const query = new URLSearchParams();
  if (dryRunOf(flags) === "server") query.set("dryRun", "All");
  if (flags.knows("field-manager")) query.set("fieldManager", flags.string("field-manager"));
  const validation = validationOf(flags);
  if (validation) query.set("fieldValidation", validation);
  for (const [key, value] of Object.entries(more)) query.set(key, value);
  return `?${query}`;
}

function validationOf(flags: FlagValues): string | undefined {
  if (!flags.knows("validate")) return undefined;
  const value = flags.string("validate").toLowerCase();
  if (value === "strict" || value === "true") return "Strict";
  if (value === "warn") return "Warn";
  if (value === "ignore" || value === "false") return "Ignore";
  throw new CommandError(
    `invalid - validate option ${JSON.stringify(flags.string("validate"))}; must be one of: strict (or true), warn, ignore (or false)`,
  );
}

/** `deployment.apps/web created (dry run)`, or the object as `-o` wants it. */
export async function reportWritten(
  session: Session,
  flags: FlagValues,
  resource: Pick<ApiResource, "kind" | "group">,
  object: Unstructured,
  operation: string,
  { isTyped = false, hidesDryRun = false } = {},
): Promise<void> {
  const printer = await printerOf(flags, { isTyped });
  if (printer) return session.print(await printer(object));
  const dryRun = hidesDryRun ? "none" : dryRunOf(flags);
  const suffix = dryRun === "client" ? " (dry run)" : dryRun === "server" ? " (server dry run)" : "";
  session.print(`${kindText(resource)}/${object.metadata.name || "<unknown>"} ${operation}${suffix}\n`);
}
