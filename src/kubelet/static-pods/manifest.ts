/** From a file in the node's manifest folder to the pod that it asks for (upstream's file source). Pure. */
import { createHash } from "node:crypto";
import type { Pod } from "../../api/core/v1.ts";
import { schemaForKind } from "../../api/schema.ts";
import { decodeYaml } from "../../apimachinery/serializer/yaml.ts";
import { rfc3339 } from "../../base/clock.ts";
import type { PodObject } from "../pod-state.ts";

export const configAnnotations = {
  hash: "kubernetes.io/config.hash",
  mirror: "kubernetes.io/config.mirror",
  seen: "kubernetes.io/config.seen",
  source: "kubernetes.io/config.source",
} as const;

export interface ManifestFile {
  path: string;
  text: string;
}

/**
 * The name ends in the node's, and the uid follows from the node and the file, so that a changed file is another pod. Throws
 * with the reason when the file holds no pod that could run.
 */
export function staticPod({ path, text }: ManifestFile, nodeName: string, seenAtMs: number): PodObject {
  const schema = schemaForKind("", "v1", "Pod");
  if (!schema) throw new Error("the API has no pods");
  const { object, problems } = decodeYaml<Partial<Pod>>(text, schema);
  const { apiVersion, kind, metadata, spec } = object;
  if (apiVersion !== "v1" || kind !== "Pod")
    throw new Error(`expected a v1 Pod, found ${apiVersion ?? "?"} ${kind ?? "?"}`);
  if (problems.length > 0) throw new Error(problems.join(", "));
  if (!metadata?.name) throw new Error("metadata.name: Required value: name or generateName is required");
  if (!spec?.containers?.length) throw new Error("spec.containers: Required value");
  for (const { name, image } of spec.containers) {
    if (!name || !image) throw new Error("spec.containers: each needs a name and an image");
  }
  if (spec.ephemeralContainers?.length) throw new Error("spec.ephemeralContainers: Forbidden: not on a static pod");
  const uid = createHash("md5").update(`${nodeName}\0${path}\0${text}`).digest("hex");
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...metadata,
      name: `${metadata.name}-${nodeName.toLowerCase()}`,
      namespace: metadata.namespace || "default",
      uid,
      resourceVersion: "0",
      creationTimestamp: rfc3339(seenAtMs),
      annotations: {
        ...metadata.annotations,
        [configAnnotations.hash]: uid,
        [configAnnotations.seen]: rfc3339(seenAtMs),
        [configAnnotations.source]: "file",
      },
    },
    spec: {
      dnsPolicy: "ClusterFirst",
      enableServiceLinks: true,
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 30,
      ...spec,
      nodeName,
      // Nothing that happens to the node drives it away.
      tolerations: [...(spec.tolerations ?? []), { operator: "Exists", effect: "NoExecute" }],
    },
    status: { phase: "Pending" },
  };
}

/** What stands in the API for a static pod, so that users see it. */
export function mirrorPod(pod: PodObject, node: { name: string; uid: string }) {
  const { name, namespace, labels, annotations } = pod.metadata;
  return {
    metadata: {
      name,
      namespace,
      ...(labels ? { labels: { ...labels } } : {}),
      annotations: { ...annotations, [configAnnotations.mirror]: pod.metadata.uid },
      ownerReferences: [{ apiVersion: "v1", kind: "Node", name: node.name, uid: node.uid, controller: true }],
    },
    spec: structuredClone(pod.spec) as Pod["spec"],
  };
}

/** Undefined for a pod that is its own. */
export function mirroredUid({ metadata }: PodObject): string | undefined {
  return metadata.annotations?.[configAnnotations.mirror];
}

export function isStatic({ metadata }: PodObject): boolean {
  return (
    metadata.annotations?.[configAnnotations.source] === "file" && mirroredUid({ metadata } as PodObject) === undefined
  );
}
