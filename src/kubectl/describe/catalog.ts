/** One describer a kind, in kubectl's layout; other kinds are described by their fields. */
import type { Unstructured } from "../api.ts";
import { certificates } from "./certificates.ts";
import { configuration } from "./configuration.ts";
import { type Describe, type Describers, type Describing, writeAnnotations } from "./describing.ts";
import { writeFields } from "./generic.ts";
import { namespaces } from "./namespaces.ts";
import { network } from "./network.ts";
import { nodes } from "./nodes.ts";
import { pods } from "./pods.ts";
import { rbac } from "./rbac.ts";
import { scaling } from "./scaling.ts";
import { services } from "./services.ts";
import { storage } from "./storage.ts";
import { workloads } from "./workloads.ts";

const describers: Describers = {
  ...pods,
  ...workloads,
  ...services,
  ...network,
  ...configuration,
  ...namespaces,
  ...nodes,
  ...storage,
  ...rbac,
  ...scaling,
  ...certificates,
};

/** Kinds whose events are not shown. */
export const withoutEvents: ReadonlySet<string> = new Set([
  "ClusterRole",
  "ClusterRoleBinding",
  "LimitRange",
  "Namespace",
  "NetworkPolicy",
  "ResourceQuota",
  "Role",
  "RoleBinding",
  "Secret",
]);

export function describerOf(group: string, kind: string): Describe {
  return describers[`${group}/${kind}`] ?? anything;
}

async function anything(object: Unstructured, { outline }: Describing) {
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace ?? "");
  outline.map(0, "Labels", object.metadata.labels);
  writeAnnotations(outline, object.metadata.annotations);
  writeFields(outline, object);
}
