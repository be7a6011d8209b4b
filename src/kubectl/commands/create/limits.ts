/** `kubectl create quota`, `priorityclass` and `poddisruptionbudget`: what bounds others. */
import { CommandError } from "../../command-error.ts";
import { objectOf, parseLabels, resourceList } from "../../generators.ts";
import type { Generators } from "./generator.ts";

export const limits: Generators = {
  quota: {
    summary: "Create a quota with the specified name",
    usage: "NAME [--hard=key1=value1,key2=value2] [--scopes=Scope1,Scope2]",
    flags: [
      { name: "hard", kind: "string", help: "the limits" },
      { name: "scopes", kind: "string", help: "what they count" },
    ],
    failure: "failed to create quota",
    make: ({ flags }, name) =>
      objectOf("v1", "ResourceQuota", name, {
        spec: {
          ...(flags.string("hard") ? { hard: resourceList(flags.string("hard")) } : {}),
          ...(flags.string("scopes") ? { scopes: flags.string("scopes").split(",") } : {}),
        },
      }),
  },
  priorityclass: {
    summary: "Create a priority class with the specified name",
    usage: "NAME --value=VALUE --global-default=BOOL",
    flags: [
      { name: "value", kind: "int", default: 0, help: "the priority" },
      { name: "global-default", kind: "bool", help: "of pods that name none" },
      { name: "description", kind: "string", help: "when to use it" },
      { name: "preemption-policy", kind: "string", default: "PreemptLowerPriority", help: "whether it preempts" },
    ],
    failure: "failed to create priorityclass",
    make: ({ flags }, name) =>
      objectOf("scheduling.k8s.io/v1", "PriorityClass", name, {
        value: flags.number("value"),
        globalDefault: flags.bool("global-default"),
        description: flags.string("description"),
        preemptionPolicy: flags.string("preemption-policy"),
      }),
  },
  poddisruptionbudget: {
    summary: "Create a pod disruption budget with the specified name",
    usage: "NAME --selector=SELECTOR --min-available=N",
    flags: [
      { name: "selector", kind: "string", help: "the pods" },
      { name: "min-available", kind: "string", help: "how many must stay" },
      { name: "max-unavailable", kind: "string", help: "how many may go" },
    ],
    failure: "failed to create poddisruptionbudgets",
    make({ flags }, name) {
      const selector = flags.string("selector");
      if (!selector) throw new CommandError("a selector must be specified");
      const [least, most] = [flags.string("min-available"), flags.string("max-unavailable")];
      if (!least && !most) throw new CommandError("one of min-available or max-unavailable must be specified");
      if (least && most) throw new CommandError("min-available and max-unavailable cannot be both specified");
      return objectOf("policy/v1", "PodDisruptionBudget", name, {
        spec: {
          ...(least ? { minAvailable: amount("min-available", least) } : {}),
          ...(most ? { maxUnavailable: amount("max-unavailable", most) } : {}),
          selector: labelSelector(selector),
        },
      });
    },
  },
};

function amount(flag: string, text: string): number | string {
  if (/^\d+$/.test(text)) return Number(text);
  if (!/^\d+%$/.test(text)) throw new CommandError(`invalid format specified for ${flag}`);
  return text;
}

/** `app=web,tier in (a,b)` in the form that objects have. */
function labelSelector(text: string): Record<string, unknown> {
  if (!/[!()]/.test(text) && text.includes("=")) return { matchLabels: parseLabels(text.replaceAll("==", "=")) };
  const matchLabels: Record<string, string> = {};
  const matchExpressions: Record<string, unknown>[] = [];
  for (const part of text.match(/(?:\([^)]*\)|[^,(])+/g) ?? []) {
    const [, key = "", operator = "", values = ""] =
      /^\s*(!?[^\s!=(]+)\s*(!=|==?|in|notin)?\s*(.*?)\s*$/.exec(part) ?? [];
    const list = values
      .replace(/^\(|\)$/g, "")
      .split(",")
      .map((value) => value.trim())
      .sort();
    if (operator === "!=") throw new CommandError('"!=" is not a valid label selector operator');
    if (operator.startsWith("=")) matchLabels[key] = values;
    else if (operator) matchExpressions.push({ key, operator: operator === "in" ? "In" : "NotIn", values: list });
    else if (key.startsWith("!")) matchExpressions.push({ key: key.slice(1), operator: "DoesNotExist" });
    else matchExpressions.push({ key, operator: "Exists" });
  }
  return {
    ...(Object.keys(matchLabels).length > 0 ? { matchLabels } : {}),
    ...(matchExpressions.length > 0 ? { matchExpressions } : {}),
  };
}
