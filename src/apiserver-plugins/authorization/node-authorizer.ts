/** The Node authorizer: a kubelet reads what its own pods need, and writes what concerns its own node. */

import type { UserInfo } from "../../apiserver/authentication.ts";
import { type Attributes, type Authorizer, allow, type Decision } from "../../apiserver/authorization.ts";
import type { NodeDependency, NodeGraph } from "./node-graph.ts";
import { ruleAllows } from "./rbac.ts";

/** The node that a user is the kubelet of. */
export function nodeOf(user: UserInfo): string | undefined {
  return user.groups.includes("system:nodes") && user.name.startsWith("system:node:") ? user.name.slice(12) : undefined;
}

const rule = (verbs: string[], resources: string[], ...apiGroups: string[]) => ({
  verbs,
  apiGroups: apiGroups.length ? apiGroups : [""],
  resources,
});
const read = ["get", "list", "watch"];

/** What every kubelet may do, whichever node it is of; NodeRestriction narrows the writes. */
const nodeRules = [
  rule(["create"], ["tokenreviews"], "authentication.k8s.io"),
  rule(["create"], ["subjectaccessreviews", "localsubjectaccessreviews"], "authorization.k8s.io"),
  rule(read, ["services"]),
  rule(["create", "get", "list", "watch"], ["nodes"]),
  rule(["update", "patch"], ["nodes/status", "nodes"]),
  rule(["create", "update", "patch"], ["events"], "", "events.k8s.io"),
  rule(["create", "delete", "get", "list", "watch"], ["pods"]),
  rule(["update", "patch"], ["pods/status"]),
  rule(["create"], ["pods/eviction"]),
  rule(["create", "get", "list", "watch"], ["certificatesigningrequests"], "certificates.k8s.io"),
  rule(read, ["csidrivers", "runtimeclasses"], "storage.k8s.io", "node.k8s.io"),
  rule(read, ["clustertrustbundles"], "certificates.k8s.io"),
  {
    verbs: ["get"],
    nonResourceURLs: ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/readyz", "/version", "/openapi/*"],
  },
];

const dependencies: Readonly<Record<string, readonly [NodeDependency, readonly string[]]>> = {
  "/secrets": ["secrets", read],
  "/configmaps": ["configmaps", read],
  "/persistentvolumeclaims": ["persistentvolumeclaims", ["get"]],
  "/persistentvolumes": ["persistentvolumes", ["get"]],
  "resource.k8s.io/resourceclaims": ["resourceclaims", ["get"]],
  "storage.k8s.io/volumeattachments": ["volumeattachments", ["get"]],
};

export class NodeAuthorizer implements Authorizer {
  readonly name = "Node";
  readonly #graph: NodeGraph;

  constructor(graph: NodeGraph) {
    this.#graph = graph;
  }

  authorize(attributes: Attributes): Decision | Promise<Decision> {
    const node = nodeOf(attributes.user);
    if (node === undefined) return no("");
    const pending = this.#graph.ready();
    return pending ? pending.then(() => this.#decide(node, attributes)) : this.#decide(node, attributes);
  }

  #decide(node: string, asked: Attributes): Decision {
    if (asked.isResource) {
      const key = `${asked.group}/${asked.resource}`;
      const dependency = dependencies[key];
      if (dependency && !asked.subresource) return this.#dependency(node, asked, ...dependency);
      if (dependency && key === "/persistentvolumeclaims" && asked.subresource === "status")
        return this.#dependency(node, asked, "persistentvolumeclaims", ["get", "update", "patch"]);
      switch (key) {
        case "/serviceaccounts":
          if (asked.verb === "get" && !asked.subresource) return this.#related(node, asked, "serviceaccounts");
          if (asked.verb !== "create" || asked.subresource !== "token") {
            return no(`can only create tokens for individual service accounts`);
          }
          return this.#related(node, asked, "serviceaccounts");
        case "/nodes":
          if (read.includes(asked.verb) && asked.name !== node)
            return no(`node ${quote(node)} cannot read ${quote(asked.name)}, only its own Node object`);
          break;
        case "/pods":
          if (asked.verb === "get" && !this.#graph.runs(node, asked.namespace, asked.name)) return no(unrelated(node));
          if (read.includes(asked.verb) && asked.verb !== "get" && !selectsNode(asked.fieldSelector ?? "", node)) {
            return no(`can only list/watch pods with spec.nodeName field selector`);
          }
          break;
        case "coordination.k8s.io/leases":
          if (asked.namespace !== "kube-node-lease")
            return no(`can only access leases in the "kube-node-lease" system namespace`);
          return this.#own(
            node,
            asked,
            ["get", "create", "update", "patch", "delete"],
            "can only access node lease with the same name as the requesting node",
          );
        case "resource.k8s.io/resourceslices":
          return this.#slice(node, asked);
        case "storage.k8s.io/csinodes":
          return this.#own(
            node,
            asked,
            ["get", "create", "update", "patch", "delete"],
            "can only access CSINode with the same name as the requesting node",
          );
      }
    }
    return nodeRules.some((one) => ruleAllows(one, asked)) ? allow : no("");
  }

  #dependency(node: string, asked: Attributes, kind: NodeDependency, verbs: readonly string[]): Decision {
    if (!verbs.includes(asked.verb)) return no(`can only ${verbs.length > 1 ? "read" : "get"} resources of this type`);
    if (!asked.name) return no("No Object name found");
    return this.#related(node, asked, kind);
  }

  #related(node: string, asked: Attributes, kind: NodeDependency): Decision {
    return this.#graph.needs(node, kind, asked.namespace, asked.name) ? allow : no(unrelated(node));
  }

  /** Those of the node's own devices. Creates name no node yet: NodeRestriction looks at the object. */
  #slice(node: string, { verb, name, subresource, fieldSelector }: Attributes): Decision {
    if (subresource) return no("cannot authorize ResourceSlice subresources");
    switch (verb) {
      case "create":
        return allow;
      case "get":
      case "update":
      case "patch":
      case "delete":
        return this.#graph.describes(node, name) ? allow : no(unrelated(node));
      case "list":
      case "watch":
      case "deletecollection":
        if (fieldSelector !== undefined && selectsNode(fieldSelector, node)) return allow;
        return no("can only list/watch/deletecollection resourceslices with nodeName field selector");
      default:
        return no(
          "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection",
        );
    }
  }

  /** Creates name nobody yet: NodeRestriction looks at the object. */
  #own(node: string, asked: Attributes, verbs: readonly string[], why: string): Decision {
    if (!verbs.includes(asked.verb)) return no(`can only ${verbs.join(", ")} resources of this type`);
    if (asked.verb !== "create" && asked.name !== node) return no(why);
    return allow;
  }
}

function no(reason: string): Decision {
  return { kind: "no-opinion", reason };
}

const quote = (text: string) => JSON.stringify(text);
const unrelated = (node: string) => `no relationship found between node ${quote(node)} and this object`;

function selectsNode(fieldSelector: string, node: string): boolean {
  return fieldSelector.split(",").some((part) => /^spec\.nodeName==?(.*)$/.exec(part)?.[1] === node);
}
