/** Services: one stable address for a set of pods. */
import type { Service } from "../../api/core/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { served } from "../served.ts";
import { serviceColumns } from "./service-columns.ts";
import { defaultService } from "./service-defaults.ts";
import { dropUnneededFields } from "./service-update.ts";
import { validateService, validateServiceStatus } from "./service-validation.ts";
import { serviceWarnings } from "./service-warnings.ts";

/** Addresses and node ports are the allocators' business: the composition root adds their `beginWrite`. */
export const services = defineResource<Service>({
  ...served("v1", "services"),
  metadataLooks: { update: ["change", "whole"] },
  returnsDeletedObject: true,
  validateName: "dns-label",
  allowCreateOnUpdate: true,
  defaults: defaultService,
  beforeUpdate: dropUnneededFields,
  validate: validateService,
  validateStatus: validateServiceStatus,
  warnings: serviceWarnings,
  fieldSelectors: {
    "spec.clusterIP": ({ spec }) => spec.clusterIP ?? "",
    "spec.type": ({ spec }) => spec.type ?? "",
  },
  columns: serviceColumns,
});
