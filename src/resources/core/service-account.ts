/** ServiceAccounts: who a pod is to the API. */
import type { ServiceAccount } from "../../api/core/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name } from "../printing/columns.ts";
import { served } from "../served.ts";

const mountableSecrets = "kubernetes.io/enforce-mountable-secrets";

export const serviceAccounts = defineResource<ServiceAccount>({
  ...served("v1", "serviceaccounts"),
  metadataLooks: { update: ["change", "whole"] },
  returnsDeletedObject: true,
  warnings(next, previous) {
    const isNew = previous?.metadata.annotations?.[mountableSecrets] === undefined;
    if (!isNew || next.metadata.annotations?.[mountableSecrets] === undefined) return [];
    const instead = "prefer separate namespaces to isolate access to mounted secrets";
    return [`metadata.annotations[${mountableSecrets}]: deprecated in v1.32+; ${instead}`];
  },
  columns: [name, age],
});
