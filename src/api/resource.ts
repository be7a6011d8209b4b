/** A typed handle on one served resource: what a client call needs to know, and the object type it yields. */
import type { KubeObject } from "./object.ts";

export interface Resource<T extends KubeObject = KubeObject> {
  group: string;
  version: string;
  kind: string;
  /** Lower-case plural, as in URLs. */
  plural: string;
  scope: "Namespaced" | "Cluster";
  /** Never present at run time: carries T through inference. */
  readonly __object?: T;
}
