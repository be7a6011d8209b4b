/** `kubectl certificate`: approves and denies signing requests. */
import type { Unstructured } from "../api.ts";
import type { Command, CommandGroup, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { manifestFlags, namesManifests } from "../manifests.ts";
import { outputFlags, printerOf } from "../printers/printer.ts";
import { kindText, pathOf } from "../resource-catalog.ts";
import { fetchTargets, targetsOf } from "../targets.ts";

interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastUpdateTime?: string;
}

interface Decision {
  condition: "Approved" | "Denied";
  reason: string;
  message: string;
  done: string;
}

const approved: Decision = {
  condition: "Approved",
  reason: "KubectlApprove",
  message: "This CSR was approved by kubectl certificate approve.",
  done: "approved",
};
const denied: Decision = {
  condition: "Denied",
  reason: "KubectlDeny",
  message: "This CSR was denied by kubectl certificate deny.",
  done: "denied",
};

export const certificate: CommandGroup = {
  summary: "Modify certificate resources",
  subcommands: {
    approve: command("approve", "Approve a certificate signing request", approved),
    deny: command("deny", "Deny a certificate signing request", denied),
  },
};

function command(name: string, summary: string, decision: Decision): Command {
  return {
    summary,
    usage: "(-f FILENAME | NAME)",
    examples: [`certificate ${name} jane`],
    flags: [
      ...manifestFlags,
      ...outputFlags,
      { name: "force", kind: "bool", help: "write again what has been decided before" },
    ],
    run: (invocation) => decide(invocation, decision),
  };
}

async function decide({ session, flags, args }: Invocation, { condition, reason, message, done }: Decision) {
  if (args.length === 0 && !namesManifests(flags)) {
    throw new CommandError("one or more CSRs must be specified as <name> or -f <filename>");
  }
  const api = await session.api();
  const words = args.length > 0 ? ["certificatesigningrequests", ...args] : [];
  const printer = await printerOf(flags);
  for (const { target, object } of await fetchTargets(session, flags, await targetsOf(session, flags, words))) {
    const { conditions = [] } = (object["status"] ?? {}) as { conditions?: Condition[] };
    const other = condition === "Approved" ? "Denied" : "Approved";
    if (conditions.some(({ type }) => type === other)) {
      throw new CommandError(`certificate signing request ${JSON.stringify(target.name)} is already ${other}`);
    }
    let decided: Unstructured = object;
    if (flags.bool("force") || !conditions.some(({ type }) => type === condition)) {
      const lastUpdateTime = new Date(session.terminal.clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
      const kept = conditions.filter(({ type }) => type !== condition);
      const body = {
        ...object,
        status: {
          ...(object["status"] as object | undefined),
          conditions: [...kept, { type: condition, status: "True", reason, message, lastUpdateTime }],
        },
      };
      decided = await api.call("PUT", pathOf(target.resource, undefined, target.name, "approval"), { body });
    }
    if (printer) session.print(await printer(decided));
    else session.print(`${kindText(target.resource)}/${target.name} ${done}\n`);
  }
  return 0;
}
