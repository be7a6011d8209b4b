/** `bindings`: the old way to bind a pod, by a Binding that names it. The same as its `binding` subresource. */
import { badRequestError } from "../../apimachinery/status-error.ts";
import { objectOf } from "../../apiserver/answer.ts";
import type { ServerAccess } from "../../apiserver/server.ts";
import type { VirtualResource } from "../../apiserver/virtual-resource.ts";

export function bindings({ pipeline, registry }: ServerAccess): VirtualResource {
  return {
    definition: {
      group: "",
      version: "v1",
      kind: "Binding",
      plural: "bindings",
      singular: "binding",
      scope: "Namespaced",
      verbs: ["create"],
    },
    async create(object, { context, namespace, query }) {
      const pods = registry.find("", "v1", "pods");
      const handler = pods && pipeline.subresourceHandler(pods, "binding");
      if (!pods || handler?.kind !== "object") throw badRequestError("pods cannot be bound here");
      const { name } = object.metadata;
      if (!name) throw badRequestError("Name parameter required.");
      const request = {
        context,
        resource: pods,
        subresource: "binding",
        verb: "create",
        method: "POST",
        namespace,
        name,
        query,
        rest: undefined,
        objects: pipeline.objects,
      };
      return objectOf(await handler.handle(request, object)) as object;
    },
  };
}
