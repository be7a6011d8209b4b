/** Where upstream keeps an object in etcd: its messages about preconditions show the key. */
import type { ServedResource } from "./resource-registry.ts";

const olderNames: Readonly<Record<string, string>> = {
  replicationcontrollers: "controllers",
  endpoints: "services/endpoints",
  nodes: "minions",
  services: "services/specs",
  ingresses: "ingress",
};

/** Groups that are served like custom ones: their keys name the group. */
const groupsInKeys: ReadonlySet<string> = new Set(["apiextensions.k8s.io", "apiregistration.k8s.io"]);

export function upstreamKeyOf({ group, plural, definition }: ServedResource, namespace: string, name: string): string {
  const isNamed = definition.type?.custom || groupsInKeys.has(group);
  const place = isNamed ? `${group}/${plural}` : (olderNames[plural] ?? plural);
  return `/registry/${place}/${namespace ? `${namespace}/` : ""}${name}`;
}

/** What is wrong with a UID that a client expects, in the words of upstream's storage. */
export function otherUidMessage(key: string, expected: string, found: string): string {
  const detail = `Precondition failed: UID in precondition: ${expected}, UID in object meta: ${found}`;
  return `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${detail}`;
}
