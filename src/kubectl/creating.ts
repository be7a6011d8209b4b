/** Making an object that a command has in hand, for the verbs that make some: create, run, expose, autoscale. */
import { StatusError } from "../apimachinery/status-error.ts";
import type { Unstructured } from "./api.ts";
import type { Invocation } from "./command.ts";
import { CommandError } from "./command-error.ts";
import type { Flag } from "./flags.ts";
import { withLastApplied, withTypedLastApplied } from "./last-applied.ts";
import { type ApiResource, pathOf } from "./resource-catalog.ts";
import type { Session } from "./session.ts";
import { assumedResource } from "./targets.ts";
import { wellKnownKind } from "./well-known-resources.ts";
import { dryRunOf, reportWritten, writeQuery } from "./writing.ts";

export const saveConfigFlag: Flag = {
  name: "save-config",
  kind: "bool",
  help: "remember the object for a later apply",
};

export interface Creating {
  /** What the report calls it. Default: `created`. */
  done?: string;
  /** How a refusal by the server begins; absent: it is said as it is. */
  failure?: string | undefined;
  /** Whether Go would have the kind's struct in hand, which writes its fields in its own order. */
  isTyped?: boolean;
  /** Whether --save-config counts for an object that is only shown, too. Default: true. */
  remembersShown?: boolean;
}

/** Of a kind that a generator makes the server need not be asked where nothing is sent. */
async function resourceOf(session: Session, object: Unstructured, isAssumed: boolean): Promise<ApiResource> {
  const [apiVersion, kind] = [object.apiVersion!, object.kind!];
  const known = wellKnownKind(apiVersion, kind) ?? (isAssumed ? assumedResource(object) : undefined);
  if (known) return known;
  const found = (await session.catalogWith((catalog) => catalog.ofKind(apiVersion, kind))).ofKind(apiVersion, kind);
  if (!found) throw new CommandError(`the server doesn't have a resource type ${JSON.stringify(kind)}`);
  return found;
}

/** Sends the object, or prints it when that is all the user wants. */
export async function createObject(
  { session, flags }: Invocation,
  object: Unstructured,
  { done = "created", failure, isTyped = false, remembersShown = true }: Creating = {},
): Promise<void> {
  const isDry = dryRunOf(flags) === "client";
  const resource = await resourceOf(session, object, isDry && isTyped);
  if (resource.isNamespaced && (!isDry || flags.has("namespace"))) {
    object.metadata.namespace ??= (await session.namespace()).name;
  }
  const complete =
    !flags.bool("save-config") || (isDry && !remembersShown)
      ? object
      : isTyped
        ? withTypedLastApplied(object)
        : withLastApplied(object);
  if (isDry) return reportWritten(session, flags, resource, complete, done, { isTyped });
  const api = await session.api();
  const place = resource.isNamespaced ? object.metadata.namespace : undefined;
  try {
    const made = await api.call("POST", pathOf(resource, place) + writeQuery(flags), { body: complete });
    await reportWritten(session, flags, resource, made, done, { isTyped });
  } catch (error) {
    if (failure === undefined || !(error instanceof StatusError)) throw error;
    throw new CommandError(`${failure}: ${error.message}`);
  }
}
