/** `kubectl api-resources` and `kubectl api-versions`. */
import type { Unstructured } from "../api.ts";
import type { Command } from "../command.ts";
import { CommandError, usageError } from "../command-error.ts";
import { encodeKyaml } from "../printers/kyaml.ts";
import { goJsonInOrder } from "../printers/printable.ts";
import { printerOf } from "../printers/printer.ts";
import { type ApiResource, apiVersionOf } from "../resource-catalog.ts";
import { TabWriter } from "../tab-writer.ts";

export const apiResources: Command = {
  summary: "Print the supported API resources on the server",
  usage: "[flags]",
  examples: [
    "api-resources",
    "api-resources --namespaced=false -o wide",
    "api-resources --api-group=apps --verbs=list",
  ],
  flags: [
    { name: "api-group", kind: "string", help: "only of this group" },
    { name: "namespaced", kind: "bool", default: true, help: "only namespaced ones, or only the others" },
    { name: "verbs", kind: "list", help: "only those with these verbs" },
    { name: "categories", kind: "list", help: "only those in these categories" },
    { name: "no-headers", kind: "bool", help: "no line of headings" },
    { name: "output", short: "o", kind: "string", help: "json, kyaml, name, wide or yaml" },
    { name: "show-managed-fields", kind: "bool", help: "accepted: the list has none" },
    { name: "sort-by", kind: "string", help: "name or kind" },
    { name: "cached", kind: "bool", help: "what is remembered of the server will do" },
  ],
  async run({ session, flags, args }) {
    if (args.length > 0) throw usageError("api-resources", `unexpected arguments: [${args.join(" ")}]`);
    const output = flags.string("output");
    if (!["", "name", "kind"].includes(flags.string("sort-by")))
      throw new CommandError("--sort-by accepts only name or kind");
    if (output && !formats.includes(output)) {
      throw new CommandError(
        `unable to match a printer suitable for the output format ${JSON.stringify(output)}, allowed formats are: ${formats.join(",")}`,
      );
    }
    const [verbs, categories] = [flags.commaList("verbs"), flags.commaList("categories")];
    const found = (await (flags.bool("cached") ? session.catalog() : session.freshCatalog()))
      .preferred()
      .filter(
        (resource) =>
          (!flags.has("api-group") || resource.group === flags.string("api-group")) &&
          (!flags.has("namespaced") || resource.isNamespaced === flags.bool("namespaced")) &&
          verbs.every((verb) => resource.verbs.includes(verb)) &&
          categories.every((category) => resource.categories.includes(category)),
      );
    const key = flags.string("sort-by");
    found.sort((a, b) => {
      if (key === "kind") return a.kind < b.kind ? -1 : 1;
      if (key === "name" || a.group === b.group) return a.plural < b.plural ? -1 : 1;
      return a.group < b.group ? -1 : 1;
    });
    if (output === "name") {
      session.print(found.map(({ plural, group }) => `${plural}${group ? `.${group}` : ""}\n`).join(""));
      return 0;
    }
    if (output === "json" || output === "kyaml" || output === "yaml") {
      const printer = await printerOf(flags);
      const list = asList(found);
      session.print(
        output === "json"
          ? `${goJsonInOrder(list, 4)}\n`
          : output === "kyaml"
            ? encodeKyaml(list)
            : await printer!(list as unknown as Unstructured),
      );
      return 0;
    }
    const isWide = output === "wide";
    const rows = found.map((resource) => [
      resource.plural,
      resource.shortNames.join(","),
      apiVersionOf(resource),
      String(resource.isNamespaced),
      resource.kind,
      ...(isWide ? [[...resource.verbs].sort().join(","), resource.categories.join(",")] : []),
    ]);
    const headings = [
      "NAME",
      "SHORTNAMES",
      "APIVERSION",
      "NAMESPACED",
      "KIND",
      ...(isWide ? ["VERBS", "CATEGORIES"] : []),
    ];
    session.print(new TabWriter().format([...(flags.bool("no-headers") ? [] : [headings]), ...rows]));
    return 0;
  },
};

const formats = ["json", "kyaml", "name", "wide", "yaml"];

/** As the server would list them (meta.k8s.io APIResourceList), of whatever groups. */
function asList(resources: readonly ApiResource[]) {
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: "",
    resources:
      resources.length === 0
        ? null
        : resources.map(({ plural, singular, isNamespaced, group, version, kind, verbs, shortNames, categories }) => ({
            name: plural,
            singularName: singular,
            namespaced: isNamespaced,
            ...(group ? { group } : {}),
            version,
            kind,
            verbs,
            ...(shortNames.length > 0 ? { shortNames } : {}),
            ...(categories.length > 0 ? { categories } : {}),
          })),
  };
}

export const apiVersions: Command = {
  summary: 'Print the supported API versions on the server, in the form of "group/version"',
  usage: "",
  examples: ["api-versions"],
  flags: [],
  async run({ session, args }) {
    if (args.length > 0) throw usageError("api-versions", `unexpected arguments: [${args.join(" ")}]`);
    const versions = new Set((await session.freshCatalog()).resources.map(apiVersionOf));
    session.print(
      [...versions]
        .sort()
        .map((each) => `${each}\n`)
        .join(""),
    );
    return 0;
  },
};
