/** How `describe` shows roles and their bindings. */
import type { Unstructured } from "../api.ts";
import { type Describers, type Describing, fields, list, writeHead } from "./describing.ts";

export const rbac: Describers = {
  "rbac.authorization.k8s.io/Role": role,
  "rbac.authorization.k8s.io/ClusterRole": role,
  "rbac.authorization.k8s.io/RoleBinding": binding,
  "rbac.authorization.k8s.io/ClusterRoleBinding": binding,
};

interface PolicyRule {
  verbs?: string[];
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  nonResourceURLs?: string[];
}

async function role(object: Unstructured, { outline }: Describing) {
  writeHead(outline, { ...object, metadata: withoutNamespace(object.metadata) });
  outline.line(0, "PolicyRule:\n  Resources\tNon-Resource URLs\tResource Names\tVerbs");
  outline.line(1, "---------\t-----------------\t--------------\t-----");
  for (const rule of simpleRules(list<PolicyRule>(object["rules"]))) {
    const { resource, group, name, url, verbs } = rule;
    const [base, ...subresource] = resource.split("/");
    const qualified = [group ? `${base}.${group}` : base, ...subresource].join("/");
    outline.line(1, `${qualified}\t[${url}]\t[${name}]\t[${verbs.join(" ")}]`);
  }
}

interface SimpleRule {
  resource: string;
  group: string;
  name: string;
  url: string;
  verbs: string[];
}

/** One rule a resource, name and path, in the order of what they allow. */
function simpleRules(rules: readonly PolicyRule[]): SimpleRule[] {
  const simple = new Map<string, SimpleRule>();
  const allow = (rule: SimpleRule, key: string) => {
    const known = simple.get(key);
    if (!known) simple.set(key, rule);
    else known.verbs.push(...rule.verbs.filter((verb) => !known.verbs.includes(verb)));
  };
  for (const { verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } of rules) {
    for (const group of apiGroups) {
      for (const resource of resources) {
        for (const name of resourceNames.length > 0 ? resourceNames : [""]) {
          allow({ resource, group, name, url: "", verbs: [...verbs] }, JSON.stringify([group, resource, name]));
        }
      }
    }
    for (const url of nonResourceURLs) {
      for (const verb of verbs) allow({ resource: "", group: "", name: "", url, verbs: [verb] }, `${url} ${verb}`);
    }
  }
  const text = ({ verbs, group, resource, name, url }: SimpleRule) =>
    `[${verbs.join(" ")}],[${group}],[${resource}],[${name}],[${url}]`;
  return [...simple.values()].sort((a, b) => (text(a) < text(b) ? -1 : 1));
}

async function binding(object: Unstructured, { outline }: Describing) {
  writeHead(outline, { ...object, metadata: withoutNamespace(object.metadata) });
  const { kind, name } = fields(object["roleRef"]);
  outline.line(0, "Role:");
  outline.field(1, "Kind", kind);
  outline.field(1, "Name", name);
  outline.line(0, "Subjects:\n  Kind\tName\tNamespace\n  ----\t----\t---------");
  for (const subject of list<{ kind: string; name: string; namespace?: string }>(object["subjects"]))
    outline.line(1, `${subject.kind}\t${subject.name}\t${subject.namespace ?? ""}`);
}

const withoutNamespace = ({ namespace: _, ...metadata }: Unstructured["metadata"]): Unstructured["metadata"] =>
  metadata;
