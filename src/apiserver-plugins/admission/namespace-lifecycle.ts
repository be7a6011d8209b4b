/** NamespaceLifecycle: nothing is written into a namespace that is not there, nothing new into one that ends, and some never end. */
import type { Namespace } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Namespaces } from "../../api/resources.ts";
import { notFoundError, StatusError } from "../../apimachinery/status-error.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import type { ObjectReader } from "../object-reader.ts";
import { refuse, writes } from "./refusal.ts";

const immortalNamespaces = new Set(["default", "kube-system", "kube-public"]);

export function namespaceLifecycle(objects: ObjectReader): AdmissionPlugin {
  return {
    name: "NamespaceLifecycle",
    handles: (request) =>
      request.namespace !== ""
        ? request.operation !== "DELETE" && !isReview(request)
        : writes(request, "namespaces", "DELETE"),
    mutate(request) {
      if (request.namespace === "") {
        if (immortalNamespaces.has(request.name)) throw refuse(request, "this namespace may not be deleted");
        return;
      }
      const found = objects.get(Namespaces, "", request.namespace);
      if (found instanceof Promise) return found.then((namespace) => check(request, namespace));
      check(request, found);
    },
  };
}

/** Reviews ask about namespaces; they write nothing into them. */
function isReview({ definition }: AdmissionRequest): boolean {
  return definition.group === "authorization.k8s.io";
}

function check(request: AdmissionRequest, namespace: DeepReadonly<Namespace> | undefined): void {
  const { namespace: name } = request;
  if (!namespace) throw notFoundError({ group: "", resource: "namespaces" }, name);
  if (request.operation !== "CREATE" || namespace.status?.phase !== "Terminating") return;
  const { code, reason, message, details } = refuse(
    request,
    `unable to create new content in namespace ${name} because it is being terminated`,
  );
  throw new StatusError(code, reason, message, {
    ...details,
    causes: [
      { reason: "NamespaceTerminating", message: `namespace ${name} is being terminated`, field: "metadata.namespace" },
    ],
  });
}
