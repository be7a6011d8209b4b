/** Verbs about the server: version, cluster-info, api-resources, api-versions. */
import type { Unstructured } from "../api.ts";
import type { Command } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { goJson } from "../printers/printable.ts";
import { apiVersionOf, pathOf } from "../resource-catalog.ts";
import { TabWriter } from "../tab-writer.ts";

interface VersionInfo {
  gitVersion: string;
  [field: string]: string;
}

const clientVersion = "v1.36.0";

export const version: Command = {
  summary: "Print the client and server version information",
  usage: "[flags]",
  flags: [
    { name: "client", kind: "bool", help: "only the client's" },
    { name: "output", short: "o", kind: "string", help: "yaml or json" },
  ],
  async run({ session, flags }) {
    const client = { gitVersion: clientVersion, major: "1", minor: "36", platform: "linux/amd64" };
    const server = flags.bool("client") ? undefined : await (await session.api()).get<VersionInfo>("/version");
    const output = flags.string("output");
    const both = { clientVersion: client, kustomizeVersion: "none", ...(server ? { serverVersion: server } : {}) };
    if (output === "json") session.print(goJson(both, 2));
    else if (output === "yaml") {
      const { encodeYaml } = await import("../../apimachinery/serializer/yaml.ts");
      session.print(encodeYaml(both));
    } else if (output) throw new CommandError("--output must be 'yaml' or 'json'");
    else {
      session.print(`Client Version: ${clientVersion}\nKustomize Version: none\n`);
      if (server) session.print(`Server Version: ${server.gitVersion}\n`);
    }
    return 0;
  },
};

export const clusterInfo: Command = {
  summary: "Display cluster information",
  usage: "",
  flags: [],
  async run({ session }) {
    const api = await session.api();
    session.print(`Kubernetes control plane is running at ${api.server}\n`);
    const { items } = await api.get<{ items: Unstructured[] }>(
      `${pathOf({ group: "", version: "v1", plural: "services" }, "kube-system")}?labelSelector=${encodeURIComponent("kubernetes.io/cluster-service=true")}`,
    );
    for (const { metadata, ...service } of items) {
      const { ports } = service["spec"] as { ports?: { name?: string }[] };
      const title = metadata.labels?.["kubernetes.io/name"] ?? metadata.name;
      const port = ports?.[0]?.name ? `:${ports[0].name}` : "";
      session.print(
        `${title} is running at ${api.server}/api/v1/namespaces/kube-system/services/${metadata.name}${port}/proxy\n`,
      );
    }
    session.print("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n");
    return 0;
  },
};

export const apiResources: Command = {
  summary: "Print the supported API resources on the server",
  usage: "[flags]",
  flags: [
    { name: "api-group", kind: "string", help: "only of this group" },
    { name: "namespaced", kind: "bool", default: true, help: "only namespaced ones, or only the others" },
    { name: "verbs", kind: "list", help: "only those with these verbs" },
    { name: "categories", kind: "list", help: "only those in these categories" },
    { name: "no-headers", kind: "bool", help: "no line of headings" },
    { name: "output", short: "o", kind: "string", help: "wide or name" },
    { name: "sort-by", kind: "string", help: "name or kind" },
    { name: "cached", kind: "bool", help: "accepted" },
  ],
  async run({ session, flags }) {
    const output = flags.string("output");
    if (output && output !== "wide" && output !== "name") throw new CommandError(`--output ${output} is not available`);
    const [verbs, categories] = [flags.commaList("verbs"), flags.commaList("categories")];
    const found = (await session.catalog())
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

export const apiVersions: Command = {
  summary: 'Print the supported API versions on the server, in the form of "group/version"',
  usage: "",
  flags: [],
  async run({ session }) {
    const versions = new Set((await session.catalog()).resources.map(apiVersionOf));
    session.print(
      [...versions]
        .sort()
        .map((each) => `${each}\n`)
        .join(""),
    );
    return 0;
  },
};
