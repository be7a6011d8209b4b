/** PodTemplates: templates as objects of their own. */
import type { PodTemplate } from "../../api/core/v1.ts";
import { FieldPath } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { templateWarnings } from "../apps/workload.ts";
import { labelsText, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { defaultPodTemplate } from "./pod-spec/template.ts";
import { validatePodTemplate } from "./pod-spec/validate-pod-spec.ts";

const templatePath = FieldPath.root.child("template");

export const podTemplates = defineResource<PodTemplate>({
  ...served("v1", "podtemplates"),
  returnsDeletedObject: true,
  defaults: ({ template }) => defaultPodTemplate(template),
  beforeCreate(object) {
    object.metadata.generation = 1;
  },
  beforeUpdate(next, previous) {
    if (!semanticallyEqual(next.template, previous.template)) {
      next.metadata.generation = (previous.metadata.generation ?? 0) + 1;
    }
  },
  validate: ({ template }) => validatePodTemplate(template ?? {}, templatePath),
  warnings: ({ template }) => templateWarnings(template, templatePath),
  columns: [
    name,
    text("Containers", ({ template }) => (template?.spec?.containers ?? []).map((c) => c.name).join(",")),
    text("Images", ({ template }) => (template?.spec?.containers ?? []).map((c) => c.image ?? "").join(",")),
    text("Pod Labels", ({ template }) => labelsText(template?.metadata?.labels)),
  ],
});
