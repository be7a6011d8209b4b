/** RuntimeClasses: ways to run containers that pods can ask for by name. */
import type { Toleration } from "../../api/core/v1.ts";
import type { RuntimeClass } from "../../api/node/v1.ts";
import { duplicate, type FieldError, FieldPath } from "../../apimachinery/field-error.ts";
import { validateLabels } from "../../apimachinery/object-meta-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { nodeLabelWarnings } from "../core/deprecated-node-labels.ts";
import { internalForm } from "../core/internal-form.ts";
import { validContainerResources } from "../core/pod-spec/resources.ts";
import { validTolerations } from "../core/pod-spec/scheduling.ts";
import { canonicalizeResourceList } from "../core/resource-list.ts";
import { age, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { each, unchanged, validDnsLabel } from "../validation/rules.ts";

const root = FieldPath.root;

export const runtimeClasses = defineResource<RuntimeClass>({
  ...served("node.k8s.io/v1", "runtimeclasses"),
  metadataLooks: { update: ["whole", "change"] },
  allowCreateOnUpdate: true,
  allowUnconditionalUpdate: false,
  warnings: ({ scheduling }) => {
    const path = root.child("scheduling", "nodeSelector");
    return nodeLabelWarnings(scheduling?.nodeSelector, () => path);
  },
  defaults: ({ overhead }) => canonicalizeResourceList(overhead?.podFixed),
  validate: (next, previous) => [
    ...validDnsLabel(next.handler ?? "", root.child("handler")),
    // Upstream takes them for a container's limits.
    ...validContainerResources({ limits: next.overhead?.podFixed ?? {} }, new Set(), root.child("overhead")),
    ...validateLabels(next.scheduling?.nodeSelector, root.child("scheduling", "nodeSelector")),
    ...validSchedulingTolerations(next.scheduling?.tolerations, root.child("scheduling", "tolerations")),
    ...(previous ? unchanged(next.handler, previous.handler, root.child("handler")) : []),
  ],
  columns: [name, text("Handler", ({ handler }) => handler), age],
});

/** Pods of the class get them all, so that each may be there once. Upstream finds what is wrong in one a step too deep. */
function validSchedulingTolerations(tolerations: readonly Toleration[] | undefined, path: FieldPath): FieldError[] {
  const seen = new Set<string>();
  return [
    ...validTolerations(tolerations, path.child("tolerations")),
    ...each(tolerations, path, (toleration, at) => {
      const { key = "", operator = "", value = "", effect = "" } = toleration;
      const identity = JSON.stringify([key, operator, value, effect]);
      if (seen.has(identity)) return [duplicate(at, internalForm("Toleration", toleration))];
      seen.add(identity);
      return [];
    }),
  ];
}
