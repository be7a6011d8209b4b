/** `kubectl auth`: can-i, whoami; reconcile has a file of its own. */
import type { Unstructured } from "../api.ts";
import type { CommandGroup } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { cut } from "../flags.ts";
import { outputFlags, printerOf } from "../printers/printer.ts";
import { TabWriter } from "../tab-writer.ts";
import { allNamespacesFlag } from "../targets.ts";
import { reconcile } from "./auth-reconcile.ts";

const group = "/apis/authorization.k8s.io/v1";

interface Rule {
  verbs: string[];
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  nonResourceURLs?: string[];
}

export const auth: CommandGroup = {
  summary: "Inspect authorization",
  subcommands: {
    reconcile,
    "can-i": {
      summary: "Check whether an action is allowed",
      usage: "VERB [TYPE | TYPE/NAME | NONRESOURCEURL]",
      examples: ["auth can-i create deployments", "auth can-i list pods --as bob", "auth can-i --list"],
      flags: [
        allNamespacesFlag,
        { name: "list", kind: "bool", help: "everything that is allowed in the namespace" },
        { name: "quiet", short: "q", kind: "bool", help: "only the exit code" },
        { name: "subresource", kind: "string", help: "such as log or scale" },
        { name: "no-headers", kind: "bool", help: "with --list, no line of headings" },
      ],
      async run({ session, flags, args }) {
        const api = await session.api();
        const { name: namespace } = await session.namespace();
        if (flags.bool("list")) {
          const body = { apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectRulesReview", spec: { namespace } };
          const { status } = await api.call<{ status: { resourceRules?: Rule[]; nonResourceRules?: Rule[] } }>(
            "POST",
            `${group}/selfsubjectrulesreviews`,
            { body },
          );
          const rules = [...(status.resourceRules ?? []), ...(status.nonResourceRules ?? [])];
          const rows = rules.flatMap((rule) => rowsOf(rule));
          session.print(
            new TabWriter().format([
              ...(flags.bool("no-headers") ? [] : [["Resources", "Non-Resource URLs", "Resource Names", "Verbs"]]),
              ...rows,
            ]),
          );
          return 0;
        }
        const [verb, what] = args;
        if (!verb || !what)
          throw new CommandError(
            "you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'kubectl auth can-i -h' for help and examples.",
          );
        const spec = what.startsWith("/")
          ? { nonResourceAttributes: { path: what, verb } }
          : { resourceAttributes: await attributesOf(verb, what) };
        const body = { apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectAccessReview", spec };
        const { status } = await api.call<{ status: { allowed: boolean; reason?: string; evaluationError?: string } }>(
          "POST",
          `${group}/selfsubjectaccessreviews`,
          { body },
        );
        if (!flags.bool("quiet")) {
          const why = [status.reason && `${status.reason}`, status.evaluationError && status.evaluationError].filter(
            Boolean,
          );
          session.print(
            `${status.allowed ? "yes" : "no"}${!status.allowed && why.length > 0 ? ` - ${why.join(" - ")}` : ""}\n`,
          );
        }
        return status.allowed ? 0 : 1;

        async function attributesOf(verbName: string, text: string) {
          const [word, name] = cut(text, "/");
          const resource = await session
            .catalogWith((known) => known.lookUp(word))
            .then((catalog) => {
              try {
                return catalog.find(word);
              } catch {
                if (word !== "*") session.printError(`Warning: the server doesn't have a resource type '${word}'\n`);
                return { group: "", plural: word, isNamespaced: true };
              }
            });
          if (!resource.isNamespaced && !flags.bool("all-namespaces")) {
            session.printError(
              `Warning: resource '${resource.plural}' is not namespace scoped${resource.group ? ` in group '${resource.group}'` : ""}\n\n`,
            );
          }
          return {
            verb: verbName,
            group: resource.group,
            resource: resource.plural,
            ...(name ? { name } : {}),
            ...(flags.string("subresource") ? { subresource: flags.string("subresource") } : {}),
            ...(flags.bool("all-namespaces") ? {} : { namespace }),
          };
        }
      },
    },
    whoami: {
      summary: "Experimental: Check self subject attributes",
      usage: "",
      flags: [...outputFlags],
      async run({ session, flags }) {
        const printer = await printerOf(flags, { isTyped: ["json", "kyaml"].includes(flags.string("output")) });
        const api = await session.api();
        const body = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
        const review = await api.call<{
          status: { userInfo: { username: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> } };
        }>("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", { body });
        if (printer) {
          session.print(await printer(review as unknown as Unstructured));
          return 0;
        }
        const { username, uid, groups, extra } = review.status.userInfo;
        const rows = [
          ["ATTRIBUTE", "VALUE"],
          ["Username", username],
          ...(uid ? [["UID", uid]] : []),
          ...(groups?.length ? [["Groups", `[${groups.join(" ")}]`]] : []),
          ...Object.entries(extra ?? {}).map(([key, values]) => [`Extra: ${key}`, `[${values.join(" ")}]`]),
        ];
        session.print(new TabWriter().format(rows));
        return 0;
      },
    },
  },
};

function rowsOf({
  verbs,
  apiGroups = [""],
  resources = [],
  resourceNames = [],
  nonResourceURLs = [],
}: Rule): string[][] {
  const list = (items: readonly string[]) => `[${items.join(" ")}]`;
  if (nonResourceURLs.length > 0) return [["", list(nonResourceURLs), "[]", list(verbs)]];
  return apiGroups.flatMap((apiGroup) =>
    resources.map((resource) => [
      `${resource}${apiGroup ? `.${apiGroup}` : ""}`,
      "[]",
      list(resourceNames),
      list(verbs),
    ]),
  );
}
