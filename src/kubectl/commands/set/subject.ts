/** `kubectl set subject`: who a binding gives its role to. */
import { changeObjects } from "../../changing.ts";
import type { Command } from "../../command.ts";
import { CommandError } from "../../command-error.ts";
import { reportWritten } from "../../writing.ts";
import { objectsToSet, setFlags } from "./pod-templates.ts";

const apiGroup = "rbac.authorization.k8s.io";

export const subject: Command = {
  summary: "Update the user, group, or service account in a role binding or cluster role binding",
  usage:
    "(-f FILENAME | TYPE NAME) [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname]",
  flags: [
    ...setFlags("change"),
    { name: "user", kind: "list", help: "a user; may be repeated" },
    { name: "group", kind: "list", help: "a group; may be repeated" },
    { name: "serviceaccount", kind: "list", help: "namespace:name; may be repeated" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    const found = await objectsToSet(invocation, args);
    const accounts = flags.commaList("serviceaccount").map((text) => text.split(":"));
    if (!flags.has("user") && !flags.has("group") && accounts.length === 0) {
      throw new CommandError("you must specify at least one value of user, group or serviceaccount");
    }
    if (accounts.some((parts) => parts.length !== 2 || parts.includes(""))) {
      throw new CommandError("serviceaccount must be <namespace>:<name>");
    }
    const added = [
      ...flags.commaList("user").map((name) => ({ apiGroup, kind: "User", name })),
      ...flags.commaList("group").map((name) => ({ apiGroup, kind: "Group", name })),
      ...accounts.map(([namespace, name]) => ({ kind: "ServiceAccount", name, namespace })),
    ];
    for (const { target, object } of found) {
      const { resource, name } = target;
      if (!["RoleBinding", "ClusterRoleBinding"].includes(resource.kind)) {
        const place = flags.bool("local") ? resource.kind.toLowerCase() : resource.plural;
        throw new CommandError(
          `${place}/${name} setting subjects is only supported for RoleBinding/ClusterRoleBinding`,
        );
      }
      const present = (object["subjects"] as object[] | undefined) ?? [];
      const fresh = added.filter((one) => !present.some((other) => isSame(other, one)));
      if (fresh.length === 0) continue;
      const subjects = [...present, ...fresh];
      const done = "subjects updated";
      if (flags.bool("local")) await reportWritten(session, flags, resource, { ...object, subjects }, done);
      else await changeObjects(invocation, [target], () => ({ subjects }), { done });
    }
    return 0;
  },
};

function isSame(a: object, b: object): boolean {
  const fields = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<never>;
  return [...fields].every((field) => a[field] === b[field]);
}
