/** `kubectl create`: from manifests, or an object from flags. */
import type { Command, CommandGroup } from "../command.ts";
import { CommandError, usageError } from "../command-error.ts";
import { createObject, saveConfigFlag } from "../creating.ts";
import { windowsLineEndingsFlag } from "../editing.ts";
import { manifestFlags, namesManifests } from "../manifests.ts";
import { otherWords } from "../other-words.ts";
import { printerOf } from "../printers/printer.ts";
import { rawFlag, sendRaw } from "../raw-request.ts";
import { targetsOf } from "../targets.ts";
import { together, whileDoing } from "../while-doing.ts";
import { validateFlag, writeFlags } from "../writing.ts";
import { configMaps, secrets } from "./create/config-data.ts";
import type { Generator, Generators } from "./create/generator.ts";
import { ingresses } from "./create/ingress.ts";
import { limits } from "./create/limits.ts";
import { places } from "./create/places.ts";
import { roles } from "./create/rbac.ts";
import { services } from "./create/services.ts";
import { token } from "./create/token.ts";
import { workloads } from "./create/workloads.ts";

const commonFlags = [...writeFlags("kubectl-create"), validateFlag, saveConfigFlag];

/** The generators by the words that call them: `create service nodeport web` has a kind of two words. */
const generators: Generators = {
  ...places,
  ...workloads,
  ...configMaps,
  ...ingresses,
  ...limits,
  ...roles,
  ...under("service", services),
  ...under("secret", secrets),
};

const fromManifests: Command = {
  summary: "Create a resource from a file or from stdin",
  usage: "-f FILENAME",
  examples: [
    "create -f pod.yaml",
    "create -f pod.yaml --edit",
    "create deployment web --image=nginx",
    "create configmap settings --from-literal=a=1",
  ],
  flags: [
    ...manifestFlags,
    ...commonFlags,
    { name: "edit", kind: "bool", help: "open the objects in the editor before they are created" },
    windowsLineEndingsFlag,
    { name: "selector", short: "l", kind: "string", help: "only the objects whose labels match" },
    rawFlag,
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    if (args.length > 0) throw usageError("create", `Unexpected args: [${args.join(" ")}]`);
    if (!namesManifests(flags)) throw new CommandError("must specify one of -f and -k");
    if (flags.has("raw")) {
      if (flags.bool("edit")) throw usageError("create", "--raw and --edit are mutually exclusive");
      return sendRaw(invocation, "POST");
    }
    await printerOf(flags); // Before anything is made.
    const targets = await targetsOf(session, flags, args);
    if (flags.bool("edit")) {
      const { createEdited } = await import("./edit.ts");
      return createEdited(invocation, targets);
    }
    const failures: unknown[] = [];
    for (const { local, source } of targets) {
      delete local!.metadata?.resourceVersion; // Of the object that it was copied from.
      try {
        await createObject(invocation, local!, {});
      } catch (error) {
        failures.push(whileDoing(`error when creating ${JSON.stringify(source)}`, error));
      }
    }
    if (targets.length === 0 && session.failures.length === 0) throw new CommandError("no objects passed to create");
    if (failures.length > 0) throw together(failures);
    return 0;
  },
};

export const create: CommandGroup = {
  summary: fromManifests.summary,
  command: fromManifests,
  subcommands: {
    ...Object.fromEntries(Object.entries(generators).map(([kind, generator]) => [kind, commandOf(kind, generator)])),
    ...Object.fromEntries(
      Object.entries(otherWords.create).flatMap(([word, kind]) => {
        const generator = generators[kind];
        return generator ? [[word, commandOf(kind, generator)]] : [];
      }),
    ),
    ...Object.fromEntries(
      Object.entries(services).map(([type, service]) => [`svc ${type}`, commandOf(`service ${type}`, service)]),
    ),
    token,
  },
};

function under(word: string, members: Generators): Generators {
  return Object.fromEntries(Object.entries(members).map(([name, generator]) => [`${word} ${name}`, generator]));
}

function commandOf(kind: string, generator: Generator): Command {
  return {
    summary: generator.summary,
    usage: generator.usage,
    flags: [...generator.flags, ...commonFlags],
    async run(invocation) {
      const { args, dashAt } = invocation;
      const before = args.slice(0, dashAt ?? args.length);
      if (before.length !== 1 && !(dashAt === undefined && generator.takesCommand && before.length > 0)) {
        throw usageError(`create ${kind}`, `exactly one NAME is required, got ${before.length}`);
      }
      const object = await generator.make(invocation, args[0]!, args.slice(1));
      await createObject(invocation, object, { failure: generator.failure, isTyped: true });
      return 0;
    },
  };
}
