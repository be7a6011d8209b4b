/** The namespaces that every cluster has. */
import { Namespaces } from "../../api/resources.ts";
import { atStart, type BootstrapObject } from "./bootstrap-object.ts";

export const systemNamespaces: readonly BootstrapObject[] = [
  "default",
  "kube-system",
  "kube-public",
  "kube-node-lease",
].map((name) => atStart(Namespaces, { metadata: { name }, spec: {} }));
