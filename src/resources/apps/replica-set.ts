/** ReplicaSets: as many pods alive as asked for. */
import type { ReplicaSet } from "../../api/apps/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { formatLabelSelector } from "../../apimachinery/selectors.ts";
import { defaultPodTemplate } from "../core/pod-spec/template.ts";
import { age, containerImages, containerNames, integer, name, text, wide } from "../printing/columns.ts";
import { served } from "../served.ts";

export const replicaSets = defineResource<ReplicaSet>({
  ...served("apps/v1", "replicasets"),
  scale: {
    specReplicasPath: "spec.replicas",
    statusReplicasPath: "status.replicas",
    selectorPath: "spec.selector",
  },
  defaults({ spec }) {
    spec.replicas ??= 1;
    defaultPodTemplate(spec.template);
  },
  columns: [
    name,
    integer("Desired", ({ spec }) => spec.replicas),
    integer("Current", ({ status }) => status?.replicas),
    integer("Ready", ({ status }) => status?.readyReplicas),
    age,
    containerNames(({ spec }) => spec.template?.spec?.containers),
    containerImages(({ spec }) => spec.template?.spec?.containers),
    wide(text("Selector", ({ spec }) => formatLabelSelector(spec.selector))),
  ],
});
