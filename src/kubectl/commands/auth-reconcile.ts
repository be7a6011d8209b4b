/** `kubectl auth reconcile`: brings RBAC objects to what manifests say, adding and, where asked, removing. */
import { deepEqual } from "../../apimachinery/patch/deep-equal.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import type { Unstructured } from "../api.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { manifestFlags, namesManifests } from "../manifests.ts";
import { outputFlags, printerOf } from "../printers/printer.ts";
import { kindText, pathOf } from "../resource-catalog.ts";
import { type Target, targetsOf } from "../targets.ts";
import { dryRunFlag, dryRunOf } from "../writing.ts";

type Rule = Record<string, string[] | undefined>;
type Subject = Record<string, string | undefined>;

export const reconcile: Command = {
  summary: "Reconciles rules for RBAC role, role binding, cluster role, and cluster role binding objects",
  usage: "-f FILENAME",
  flags: [
    ...manifestFlags,
    ...outputFlags,
    dryRunFlag,
    { name: "remove-extra-permissions", kind: "bool", help: "take away what the manifests do not give" },
    { name: "remove-extra-subjects", kind: "bool", help: "take out whom the manifests do not name" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    if (!namesManifests(flags)) throw new CommandError("must specify one of -f and -k");
    const printer = await printerOf(flags);
    const suffix = { none: "", client: " (dry run)", server: " (server dry run)" }[dryRunOf(flags)];
    for (const target of await targetsOf(session, flags, args)) {
      if (target.resource.group !== "rbac.authorization.k8s.io") continue;
      const object = await reconcileOne(invocation, target);
      if (printer) session.print(await printer(object));
      else session.print(`${kindText(target.resource)}/${target.name} reconciled${suffix}\n`);
    }
    return 0;
  },
};

async function reconcileOne(invocation: Invocation, target: Target): Promise<Unstructured> {
  const { session, flags } = invocation;
  const api = await session.api();
  const { resource, namespace, name, local } = target;
  const wanted = local!;
  const query = dryRunOf(flags) === "server" ? "?dryRun=All" : "";
  const write = (method: "POST" | "PUT", path: string, body: Unstructured) =>
    dryRunOf(flags) === "client" ? Promise.resolve(body) : api.call(method, path + query, { body });
  let present: Unstructured;
  try {
    present = await api.get(pathOf(resource, namespace, name));
  } catch (error) {
    if (!isNotFound(error)) throw error;
    return write("POST", pathOf(resource, namespace), wanted);
  }
  if (wanted["roleRef"] && !deepEqual(wanted["roleRef"], present["roleRef"])) {
    // Whom a binding binds to what cannot be changed in place.
    await api.call("DELETE", pathOf(resource, namespace, name) + query);
    return write("POST", pathOf(resource, namespace), wanted);
  }
  const merged: Unstructured = {
    ...present,
    metadata: {
      ...present.metadata,
      labels: { ...present.metadata.labels, ...wanted.metadata.labels },
      annotations: { ...present.metadata.annotations, ...wanted.metadata.annotations },
    },
    ...(resource.kind.endsWith("Binding")
      ? { subjects: mergedSubjects(present, wanted, flags.bool("remove-extra-subjects")) }
      : { rules: mergedRules(present, wanted, flags.bool("remove-extra-permissions")) }),
  };
  return deepEqual(merged, present) ? present : write("PUT", pathOf(resource, namespace, name), merged);
}

function mergedSubjects(present: Unstructured, wanted: Unstructured, removesExtra: boolean): Subject[] {
  const [old, young] = [present, wanted].map((object) => (object["subjects"] ?? []) as Subject[]) as [
    Subject[],
    Subject[],
  ];
  const same = (a: Subject, b: Subject) =>
    a["kind"] === b["kind"] && a["name"] === b["name"] && a["namespace"] === b["namespace"];
  const kept = removesExtra ? old.filter((subject) => young.some((each) => same(each, subject))) : old;
  return [...kept, ...young.filter((subject) => !old.some((each) => same(each, subject)))];
}

function mergedRules(present: Unstructured, wanted: Unstructured, removesExtra: boolean): Rule[] {
  const [old, young] = [present, wanted].map((object) => (object["rules"] ?? []) as Rule[]) as [Rule[], Rule[]];
  const kept = removesExtra ? old.filter((rule) => young.some((each) => covers(each, rule))) : old;
  return [...kept, ...young.filter((rule) => !kept.some((each) => covers(each, rule)))];
}

/** Whether a rule allows everything that the other allows. */
function covers(wide: Rule, narrow: Rule): boolean {
  const fields = ["verbs", "apiGroups", "resources", "nonResourceURLs"];
  const names = wide["resourceNames"] ?? [];
  const hasNames =
    names.length === 0 ||
    ((narrow["resourceNames"] ?? []).length > 0 && narrow["resourceNames"]!.every((name) => names.includes(name)));
  return (
    hasNames &&
    fields.every((field) => {
      const allowed = wide[field] ?? [];
      return allowed.includes("*") || (narrow[field] ?? []).every((each) => allowed.includes(each));
    })
  );
}
