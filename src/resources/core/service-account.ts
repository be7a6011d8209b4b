/** ServiceAccounts: who a pod is to the API. */
import type { ServiceAccount } from "../../api/core/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name } from "../printing/columns.ts";
import { served } from "../served.ts";

export const serviceAccounts = defineResource<ServiceAccount>({
  ...served("v1", "serviceaccounts"),
  returnsDeletedObject: true,
  columns: [name, age],
});
