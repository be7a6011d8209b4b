/** `kubectl version` */
import type { Command } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { goJson } from "../printers/printable.ts";
import type { Session } from "../session.ts";

interface VersionInfo {
  gitVersion: string;
  [field: string]: string;
}

export const clientVersion = "v1.36.0";

export async function readServerVersion(session: Session): Promise<VersionInfo> {
  return (await session.api()).get<VersionInfo>("/version");
}

export const version: Command = {
  summary: "Print the client and server version information",
  usage: "[flags]",
  examples: ["version", "version --client -o yaml"],
  flags: [
    { name: "client", kind: "bool", help: "only the client's" },
    { name: "output", short: "o", kind: "string", help: "yaml or json" },
  ],
  async run({ session, flags }) {
    const client = { gitVersion: clientVersion, major: "1", minor: "36", platform: "linux/amd64" };
    let failure: unknown;
    const server = flags.bool("client")
      ? undefined
      : await readServerVersion(session).catch((error: unknown) => {
          failure = error;
          return undefined;
        });
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
    // What is known of the client is told all the same.
    if (failure !== undefined) throw failure;
    return 0;
  },
};
