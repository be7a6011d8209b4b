/** What a handler yields: objects, not bytes. The doors turn it into a response, or hand it over as it is. */
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { Entry } from "../storage/watch-cache-contract.ts";
import type { ServedResource } from "./resource-registry.ts";

export type Answer =
  /** An object of the watch cache, whose encoded bytes may be at hand. */
  | { kind: "entry"; code: number; resource: ServedResource; entry: Entry<KubeObject> }
  /** An object that stands nowhere: of a dry run, a Scale, a review, a Status. With `resource` it is one of that resource. */
  | { kind: "object"; code: number; object: DeepReadonly<object>; resource?: ServedResource }
  | ListAnswer;

export interface ListAnswer {
  kind: "list";
  resource: ServedResource;
  entries: readonly Entry<KubeObject>[];
  revision: number;
  continue: string | undefined;
  remaining: number | undefined;
}

/** The object of an answer that holds one. */
export function objectOf(answer: Answer): DeepReadonly<object> {
  if (answer.kind === "entry") return answer.resource.fromStored(answer.entry.object);
  if (answer.kind === "object") return answer.object;
  throw new Error("a list is not an object");
}

/** What a finished deletion answers. */
export function successStatus(resource: ServedResource, name: string, uid: string | undefined): object {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: {
      name,
      ...(resource.group ? { group: resource.group } : {}),
      kind: resource.plural,
      ...(uid ? { uid } : {}),
    },
  };
}
