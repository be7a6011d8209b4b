/** Services: one stable address for a set of pods. */
import type { Service } from "../../api/core/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { served } from "../served.ts";
import { serviceColumns } from "./service-columns.ts";
import { defaultService } from "./service-defaults.ts";

export const services = defineResource<Service>({
  ...served("v1", "services"),
  validateName: "dns-label",
  defaults: defaultService,
  fieldSelectors: {
    "spec.clusterIP": ({ spec }) => spec.clusterIP ?? "",
    "spec.type": ({ spec }) => spec.type ?? "",
  },
  columns: serviceColumns,
});
