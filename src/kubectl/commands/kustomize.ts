/** `kubectl kustomize`: prints what a kustomization makes. */
import type { Command } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { sortKeys } from "../printers/printable.ts";

export const kustomize: Command = {
  summary: "Build a kustomization target from a directory or URL",
  usage: "DIR [flags]",
  examples: ["kustomize overlays/production"],
  flags: [
    { name: "output", short: "o", kind: "string", help: "a file to write to" },
    { name: "load-restrictor", kind: "string", default: "LoadRestrictionsRootOnly", help: "accepted" },
  ],
  async run({ session, flags, args }) {
    if (args.length > 1) throw new CommandError("specify one path to kustomization.yaml");
    const [{ buildKustomization }, { encodeYaml }] = await Promise.all([
      import("../kustomize/build.ts"),
      import("../../apimachinery/serializer/yaml.ts"),
    ]);
    const objects = buildKustomization(args[0] ?? ".", (line) => session.printError(line));
    const text = objects.map((object) => encodeYaml(sortKeys(object))).join("---\n");
    const file = flags.string("output");
    if (file) (await import("node:fs")).writeFileSync(file, text);
    else session.print(text);
    return 0;
  },
};
