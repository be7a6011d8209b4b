/** NamespaceAutoProvision and NamespaceExists: what happens when something is written into a namespace that is not there. */
import { Namespaces } from "../../api/resources.ts";
import { isAlreadyExists, notFoundError } from "../../apimachinery/status-error.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import type { Client } from "../../client/client.ts";
import type { ObjectReader } from "../object-reader.ts";

export function namespaceAutoProvision(objects: ObjectReader, client: () => Client): AdmissionPlugin {
  return {
    name: "NamespaceAutoProvision",
    handles: (request) => request.operation === "CREATE" && writesInto(request),
    async mutate({ namespace, dryRun }) {
      if (dryRun || (await objects.get(Namespaces, "", namespace))) return;
      try {
        await client().create(Namespaces, { metadata: { name: namespace }, spec: {} });
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
      }
    },
  };
}

export function namespaceExists(objects: ObjectReader): AdmissionPlugin {
  return {
    name: "NamespaceExists",
    handles: writesInto,
    async validate({ namespace }) {
      if (await objects.get(Namespaces, "", namespace)) return;
      throw notFoundError({ group: "", resource: "namespaces" }, namespace);
    },
  };
}

/** Reviews ask about namespaces; they write nothing into them. */
function writesInto({ namespace, definition }: AdmissionRequest): boolean {
  return namespace !== "" && definition.group !== "authorization.k8s.io";
}
