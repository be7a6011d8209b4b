/** Deployments: rolling replacement of pods by way of ReplicaSets. */
import type { Deployment } from "../../api/apps/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { formatLabelSelector } from "../../apimachinery/selectors.ts";
import { defaultPodTemplate } from "../core/pod-spec/template.ts";
import { age, containerImages, containerNames, name, text, wide } from "../printing/columns.ts";
import { served } from "../served.ts";

export const deployments = defineResource<Deployment>({
  ...served("apps/v1", "deployments"),
  scale: {
    specReplicasPath: "spec.replicas",
    statusReplicasPath: "status.replicas",
    selectorPath: "spec.selector",
  },
  defaults(deployment) {
    const { spec } = deployment;
    spec.replicas ??= 1;
    spec.strategy ??= {};
    spec.strategy.type ||= "RollingUpdate";
    if (spec.strategy.type === "RollingUpdate") {
      spec.strategy.rollingUpdate ??= {};
      spec.strategy.rollingUpdate.maxUnavailable ??= "25%";
      spec.strategy.rollingUpdate.maxSurge ??= "25%";
    }
    spec.revisionHistoryLimit ??= 10;
    spec.progressDeadlineSeconds ??= 600;
    defaultPodTemplate(spec.template);
  },
  columns: [
    name,
    text("Ready", ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`),
    text("Up-to-date", ({ status }) => status?.updatedReplicas ?? 0),
    text("Available", ({ status }) => status?.availableReplicas ?? 0),
    age,
    containerNames(({ spec }) => spec.template.spec?.containers),
    containerImages(({ spec }) => spec.template.spec?.containers),
    wide(text("Selector", ({ spec }) => formatLabelSelector(spec.selector))),
  ],
});
