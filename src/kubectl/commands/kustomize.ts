/** `kubectl kustomize`: prints what a kustomization makes. */
import { writeFileSync } from "node:fs";
import type { Command } from "../command.ts";
import { CommandError } from "../command-error.ts";
import type { Flag } from "../flags.ts";
import { sortKeys } from "../printers/printable.ts";

const restrictors = ["LoadRestrictionsRootOnly", "LoadRestrictionsNone"];

export const kustomize: Command = {
  summary: "Build a kustomization target from a directory or URL",
  usage: "DIR [flags]",
  examples: ["kustomize overlays/production", "kustomize https://example.org/team/shop//overlays/production?ref=v1"],
  flags: [
    { name: "output", short: "o", kind: "string", help: "a file to write to" },
    { name: "load-restrictor", kind: "string", default: restrictors[0]!, help: `one of: ${restrictors.join(", ")}` },
    { name: "enable-helm", kind: "bool", help: "accepted: charts are refused" },
    ...["helm-command", "helm-kube-version"].map((name): Flag => {
      return {
        name,
        kind: "string",
        default: name === "helm-command" ? "helm" : "",
        help: "accepted: charts are refused",
      };
    }),
    { name: "helm-api-versions", kind: "list", help: "accepted: charts are refused" },
    { name: "helm-debug", kind: "bool", help: "accepted: charts are refused" },
    { name: "enable-alpha-plugins", kind: "bool", help: "accepted: no plugins are run" },
    { name: "as-current-user", kind: "bool", help: "accepted: no plugins are run" },
    { name: "env", short: "e", kind: "list", help: "accepted: no plugins are run" },
    { name: "mount", kind: "list", help: "accepted: no plugins are run" },
    { name: "network", kind: "bool", help: "accepted: no plugins are run" },
    { name: "network-name", kind: "string", default: "bridge", help: "accepted: no plugins are run" },
  ],
  async run({ session, flags, args }) {
    const restrictor = flags.string("load-restrictor");
    if (!restrictors.includes(restrictor)) {
      throw new CommandError(
        `illegal flag value --load-restrictor ${restrictor}; legal values: [${restrictors.join(" ")}]`,
      );
    }
    if (args.length > 1) throw new CommandError("specify one path to kustomization.yaml");
    const [{ kustomizationObjects }, { encodeYaml }] = await Promise.all([
      import("../kustomize/session.ts"),
      import("../../apimachinery/serializer/yaml.ts"),
    ]);
    const objects = await kustomizationObjects(session, args[0] ?? ".", {
      readsAnywhere: restrictor === "LoadRestrictionsNone",
      helm: flags.bool("enable-helm"),
    });
    const text = objects.map((object) => encodeYaml(sortKeys(object))).join("---\n");
    const file = flags.string("output");
    if (file) writeTo(file, text);
    else session.print(text);
    return 0;
  },
};

function writeTo(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch {
    throw new CommandError(`open ${file}: no such file or directory`);
  }
}
