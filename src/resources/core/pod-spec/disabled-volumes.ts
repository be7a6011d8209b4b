/** Volumes of a feature that is off: they are forgotten, not refused, and what has them already keeps them. */
import type { PodSpec } from "../../../api/core/v1.ts";
import type { KubeObject } from "../../../api/object.ts";
import type { ResourceDefinition } from "../../../apimachinery/resource-definition.ts";

interface Template {
  spec: PodSpec;
}

/** Where kinds keep the spec of their pods, when not in `spec.template`. */
const elsewhere: Readonly<Record<string, (object: unknown) => PodSpec | undefined>> = {
  pods: (pod) => (pod as Template).spec,
  podtemplates: (object) => (object as { template?: Template }).template?.spec,
  cronjobs: (object) =>
    (object as { spec?: { jobTemplate?: { spec?: { template?: Template } } } }).spec?.jobTemplate?.spec?.template?.spec,
};
const withTemplate = ["daemonsets", "deployments", "jobs", "replicasets", "replicationcontrollers", "statefulsets"];
const templateOf = (object: unknown) => (object as { spec?: { template?: Template } }).spec?.template?.spec;

/** The definition of a server on which ClusterTrustBundleProjection is off. Other kinds than those of pods stay as they are. */
export function forgettingTrustBundleVolumes(definition: ResourceDefinition): ResourceDefinition {
  const podSpecOf = elsewhere[definition.plural] ?? (withTemplate.includes(definition.plural) ? templateOf : undefined);
  const { beforeCreate, beforeUpdate } = definition;
  if (!podSpecOf || !beforeUpdate) return definition;
  return {
    ...definition,
    beforeCreate(object: KubeObject, context) {
      forget(podSpecOf(object));
      beforeCreate?.(object, context);
    },
    beforeUpdate(next: KubeObject, previous: KubeObject, context) {
      if (!isInUse(podSpecOf(previous))) forget(podSpecOf(next));
      beforeUpdate(next, previous, context);
    },
  };
}

function sourcesOf(podSpec: PodSpec | undefined) {
  return podSpec?.volumes?.flatMap(({ projected }) => projected?.sources ?? []) ?? [];
}

function isInUse(podSpec: PodSpec | undefined): boolean {
  return sourcesOf(podSpec).some(({ clusterTrustBundle }) => clusterTrustBundle);
}

function forget(podSpec: PodSpec | undefined): void {
  if (!podSpec?.volumes) return;
  for (const source of sourcesOf(podSpec)) delete source.clusterTrustBundle;
}
