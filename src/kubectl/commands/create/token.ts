/** `kubectl create token` */
import { StatusError } from "../../../apimachinery/status-error.ts";
import type { Unstructured } from "../../api.ts";
import type { Command } from "../../command.ts";
import { CommandError, usageError } from "../../command-error.ts";
import { outputFlags, printerOf } from "../../printers/printer.ts";
import { pathOf } from "../../resource-catalog.ts";

const boundKinds = ["Node", "Pod", "Secret"];

export const token: Command = {
  summary: "Request a service account token",
  usage: "SERVICE_ACCOUNT_NAME",
  examples: ["create token default", "create token builder --duration=10m --audience=registry"],
  flags: [
    ...outputFlags,
    { name: "audience", kind: "list", help: "who the token is for" },
    { name: "duration", kind: "duration", default: "0s", help: "how long it holds" },
    { name: "bound-object-kind", kind: "string", help: `what it dies with: ${boundKinds.join(", ")}` },
    { name: "bound-object-name", kind: "string", help: "that object's name" },
    { name: "bound-object-uid", kind: "string", help: "that object's uid" },
  ],
  async run({ session, flags, args }) {
    const [name] = args;
    if (!name || args.length > 1) throw usageError("create token", `exactly one NAME is required, got ${args.length}`);
    const [boundKind, boundName, boundUid] = ["kind", "name", "uid"].map((part) =>
      flags.string(`bound-object-${part}`),
    ) as [string, string, string];
    if (flags.durationMs("duration") < 0) throw new CommandError("--duration must be greater than or equal to 0");
    if (!boundKind && boundName) {
      throw new CommandError("--bound-object-name can only be set if --bound-object-kind is provided");
    }
    if (!boundKind && boundUid) {
      throw new CommandError("--bound-object-uid can only be set if --bound-object-kind is provided");
    }
    if (boundKind && !boundKinds.includes(boundKind)) {
      throw new CommandError(`supported --bound-object-kind values are ${boundKinds.join(", ")}`);
    }
    if (boundKind && !boundName) {
      throw new CommandError("--bound-object-name is required if --bound-object-kind is provided");
    }
    const seconds = Math.trunc(flags.durationMs("duration") / 1000);
    const spec = {
      audiences: flags.list("audience").length > 0 ? flags.list("audience") : null,
      ...(seconds > 0 ? { expirationSeconds: seconds } : {}),
      ...(boundKind
        ? {
            boundObjectRef: {
              kind: boundKind,
              apiVersion: "v1",
              name: boundName,
              ...(boundUid ? { uid: boundUid } : {}),
            },
          }
        : {}),
    };
    const api = await session.api();
    const { name: namespace } = await session.namespace();
    const path = pathOf({ group: "", version: "v1", plural: "serviceaccounts" }, namespace, name, "token");
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec };
    try {
      const answer = await api.call<Unstructured & { status: { token: string } }>("POST", path, { body });
      if (!answer.status.token) throw new CommandError("failed to create token: no token in server response");
      const printer = await printerOf(flags, { isTyped: true });
      session.print(printer ? await printer(answer) : `${answer.status.token}\n`);
      return 0;
    } catch (error) {
      throw error instanceof StatusError ? new CommandError(`failed to create token: ${error.message}`) : error;
    }
  },
};
