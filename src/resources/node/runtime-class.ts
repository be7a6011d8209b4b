/** RuntimeClasses: ways to run containers that pods can ask for by name. */
import type { RuntimeClass } from "../../api/node/v1.ts";
import { type FieldError, FieldPath } from "../../apimachinery/field-error.ts";
import { validateLabels } from "../../apimachinery/object-meta-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { nodeLabelWarnings } from "../core/deprecated-node-labels.ts";
import { validTolerations } from "../core/pod-spec/scheduling.ts";
import { canonicalizeResourceList } from "../core/resource-list.ts";
import { validAmount, validContainerResourceName } from "../core/resource-names.ts";
import { age, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { unchanged, validDnsLabel } from "../validation/rules.ts";

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
    ...validOverhead(next),
    ...validateLabels(next.scheduling?.nodeSelector, root.child("scheduling", "nodeSelector")),
    ...validTolerations(next.scheduling?.tolerations, root.child("scheduling", "tolerations")),
    ...(previous ? unchanged(next.handler, previous.handler, root.child("handler")) : []),
  ],
  columns: [name, text("Handler", ({ handler }) => handler), age],
});

function validOverhead({ overhead }: RuntimeClass): FieldError[] {
  const path = root.child("overhead", "podFixed");
  return Object.entries(overhead?.podFixed ?? {}).flatMap(([resource, amount]) => [
    ...validContainerResourceName(resource, path.key(resource)),
    ...validAmount(resource, amount, path.key(resource)),
  ]);
}
