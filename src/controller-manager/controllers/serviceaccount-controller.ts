/** Sees to it that every Namespace has the ServiceAccount `default`. */
import type { Namespace } from "../../api/core/v1.ts";
import { Namespaces, ServiceAccounts } from "../../api/resources.ts";
import { isAlreadyExists } from "../../apimachinery/status-error.ts";
import { objectKey } from "../../controller-runtime/cache.ts";
import { defineController } from "../../controller-runtime/controller.ts";
import { isNamespaceTerminating } from "../../controller-runtime/namespace-terminating.ts";
import { ownNamespace } from "../namespace-wakes.ts";

const accountName = "default";

export const serviceAccountController = defineController<Namespace>({
  name: "serviceaccount-controller",
  reconciles: Namespaces,
  when: ({ type }) => type === "ADDED",
  wakesOn: [ownNamespace(ServiceAccounts, accountName)],
  writes: [ServiceAccounts],
  async reconcile({ key, cache, api }) {
    const namespace = cache.get(Namespaces, key);
    if (!namespace || namespace.metadata.deletionTimestamp) return;
    if (cache.get(ServiceAccounts, objectKey(accountName, key))) return;
    try {
      await api.create(ServiceAccounts, { metadata: { name: accountName, namespace: key } });
    } catch (error) {
      if (!isAlreadyExists(error) && !isNamespaceTerminating(error)) throw error;
    }
  },
});
