/** `kubectl create role`, `clusterrole`, `rolebinding` and `clusterrolebinding`. */
import type { Invocation } from "../../command.ts";
import { CommandError } from "../../command-error.ts";
import { cut, type Flag, type FlagValues } from "../../flags.ts";
import { objectOf, parseLabels } from "../../generators.ts";
import type { Generators } from "./generator.ts";

const apiGroup = "rbac.authorization.k8s.io";

const ruleFlags: readonly Flag[] = [
  { name: "verb", kind: "list", help: "what may be done; may be repeated" },
  { name: "resource", kind: "list", help: "to what: resource.group/subresource" },
  { name: "resource-name", kind: "list", help: "only to objects of this name" },
];

const subjectFlags: readonly Flag[] = [
  { name: "clusterrole", kind: "string", help: "the cluster role" },
  { name: "user", kind: "list", help: "a user; may be repeated" },
  { name: "group", kind: "list", help: "a group; may be repeated" },
  { name: "serviceaccount", kind: "list", help: "namespace:name; may be repeated" },
];

export const roles: Generators = {
  role: {
    summary: "Create a role with single rule",
    usage: "NAME --verb=verb --resource=resource.group/subresource [--resource-name=resourcename]",
    flags: ruleFlags,
    async make(invocation, name) {
      const verbs = verbsOf(invocation.flags);
      if (invocation.flags.list("resource").length === 0) {
        throw new CommandError("at least one resource must be specified");
      }
      return objectOf(`${apiGroup}/v1`, "Role", name, { rules: await resourceRules(invocation, verbs) });
    },
  },
  clusterrole: {
    summary: "Create a cluster role",
    usage: "NAME --verb=verb --resource=resource.group [--resource-name=resourcename]",
    flags: [
      ...ruleFlags,
      { name: "non-resource-url", kind: "list", help: "a path; may be repeated" },
      { name: "aggregation-rule", kind: "pairs", help: "label=value: the roles to sum up" },
    ],
    async make(invocation, name) {
      const { flags } = invocation;
      if (flags.has("aggregation-rule")) return aggregatedRole(flags, name);
      const verbs = verbsOf(flags);
      const [resources, urls] = [flags.list("resource"), flags.commaList("non-resource-url")];
      if (resources.length + urls.length === 0) {
        throw new CommandError("one of resource or nonResourceURL must be specified");
      }
      const rules = resources.length > 0 ? await resourceRules(invocation, verbs) : [];
      return objectOf(`${apiGroup}/v1`, "ClusterRole", name, { rules: [...rules, ...urlRules(urls, verbs)] });
    },
  },
  rolebinding: {
    summary: "Create a role binding for a particular role or cluster role",
    usage:
      "NAME --clusterrole=NAME|--role=NAME [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname]",
    flags: [{ name: "role", kind: "string", help: "the role" }, ...subjectFlags],
    failure: "failed to create rolebinding",
    make({ flags }, name) {
      const [role, clusterRole] = [flags.string("role"), flags.string("clusterrole")];
      if ((role === "") === (clusterRole === "")) {
        throw new CommandError("exactly one of clusterrole or role must be specified");
      }
      return objectOf(`${apiGroup}/v1`, "RoleBinding", name, {
        ...subjectsOf(flags),
        roleRef: role ? { apiGroup, kind: "Role", name: role } : { apiGroup, kind: "ClusterRole", name: clusterRole },
      });
    },
  },
  clusterrolebinding: {
    summary: "Create a cluster role binding for a particular cluster role",
    usage:
      "NAME --clusterrole=NAME [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname]",
    flags: subjectFlags,
    failure: "failed to create clusterrolebinding",
    make({ flags }, name) {
      const clusterRole = flags.string("clusterrole");
      if (!clusterRole) throw new CommandError('required flag(s) "clusterrole" not set');
      return objectOf(`${apiGroup}/v1`, "ClusterRoleBinding", name, {
        ...subjectsOf(flags),
        roleRef: { apiGroup, kind: "ClusterRole", name: clusterRole },
      });
    },
  },
};

function aggregatedRole(flags: FlagValues, name: string) {
  if (["verb", "resource", "resource-name", "non-resource-url"].some((flag) => flags.has(flag))) {
    throw new CommandError(
      "aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames",
    );
  }
  const matchLabels = parseLabels(flags.list("aggregation-rule").join(","));
  return objectOf(`${apiGroup}/v1`, "ClusterRole", name, {
    aggregationRule: { clusterRoleSelectors: [{ matchLabels }] },
    rules: null,
  });
}

function verbsOf(flags: FlagValues): string[] {
  const verbs = [...new Set(flags.commaList("verb"))];
  if (verbs.length === 0) throw new CommandError("at least one verb must be specified");
  return verbs.includes("*") ? ["*"] : verbs;
}

const resourceVerbs = new Set(
  "* get delete list create update patch watch proxy deletecollection use bind escalate impersonate".split(" "),
);
const urlVerbs = new Set(["*", "get", "post", "put", "delete", "patch", "head", "options"]);

/** One rule a group, the groups in order. */
async function resourceRules({ session, flags }: Invocation, verbs: readonly string[]): Promise<object[]> {
  for (const verb of verbs) {
    if (!resourceVerbs.has(verb)) session.printError(`Warning: '${verb}' is not a standard resource verb\n`);
  }
  const words = flags.commaList("resource");
  const byGroup = new Map<string, Set<string>>();
  for (const word of words.includes("*") ? ["*"] : words) {
    const [resource, subresource] = cut(word, "/");
    const { group, plural } = await ruledResource(session, resource);
    const members = byGroup.get(group) ?? new Set();
    byGroup.set(group, members.add(subresource ? `${plural}/${subresource}` : plural));
  }
  const resourceNames = [...new Set(flags.list("resource-name"))];
  return [...byGroup]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([group, resources]) => ({
      apiGroups: [group],
      ...(resourceNames.length > 0 ? { resourceNames } : {}),
      resources: [...resources],
      verbs,
    }));
}

async function ruledResource(session: Invocation["session"], word: string): Promise<{ group: string; plural: string }> {
  const [name, group] = cut(word, ".");
  if (name === "") throw new CommandError("resource must be specified if apiGroup/subresource specified");
  if (name === "*") return { group: group ?? (word === "*" ? "*" : ""), plural: "*" };
  const catalog = await session.catalogWith((known) => known.lookUp(word));
  try {
    return catalog.find(word);
  } catch {
    const where = group === undefined ? "" : ` in group ${JSON.stringify(group)}`;
    throw new CommandError(`the server doesn't have a resource type ${JSON.stringify(name)}${where}`, {
      isVerbatim: true,
    });
  }
}

function urlRules(urls: readonly string[], verbs: readonly string[]): object[] {
  if (urls.length === 0) return [];
  for (const verb of verbs) {
    if (!urlVerbs.has(verb)) throw new CommandError(`invalid verb: '${verb}' for nonResourceURL`);
  }
  for (const url of urls) {
    if (url === "*") continue;
    if (!url.startsWith("/")) throw new CommandError("nonResourceURL should start with /");
    if (url.slice(0, -1).includes("*")) {
      throw new CommandError("nonResourceURL only supports wildcard matches when '*' is at the end");
    }
  }
  return [{ nonResourceURLs: [...new Set(urls)], verbs }];
}

function subjectsOf(flags: FlagValues): { subjects?: object[] } {
  const subjects = [
    ...flags.list("user").map((name) => ({ kind: "User", apiGroup, name })),
    ...flags.list("group").map((name) => ({ kind: "Group", apiGroup, name })),
    ...flags.list("serviceaccount").map((text) => {
      const [namespace, name, more] = text.split(":");
      if (!namespace || !name || more !== undefined) {
        throw new CommandError("serviceaccount must be <namespace>:<name>");
      }
      return { kind: "ServiceAccount", name, namespace };
    }),
  ];
  return subjects.length > 0 ? { subjects } : {};
}
