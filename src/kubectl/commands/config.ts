/** `kubectl config`: what the kubeconfig says, and changes to it. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { Command, CommandGroup, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import type { Flag } from "../flags.ts";
import { goJson } from "../printers/printable.ts";
import { TabWriter } from "../tab-writer.ts";

interface Named {
  name: string;
  [field: string]: unknown;
}

interface File {
  apiVersion?: string;
  kind?: string;
  preferences?: object;
  clusters?: Named[];
  contexts?: Named[];
  users?: Named[];
  "current-context"?: string;
}

const simple = (summary: string, usage: string, run: Command["run"], flags: readonly Flag[] = []): Command => ({
  summary,
  usage,
  flags,
  run,
});

export const config: CommandGroup = {
  summary: "Modify kubeconfig files",
  subcommands: {
    view: simple(
      "Display merged kubeconfig settings or a specified kubeconfig file",
      "[flags]",
      async ({ session, flags }) => {
        const merged = mergeFiles(await readFiles(session));
        const shown = flags.bool("minify") ? minified(merged) : merged;
        const safe = flags.bool("raw") ? shown : withoutSecrets(shown);
        const complete = { apiVersion: "v1", kind: "Config", preferences: {}, ...safe };
        if (flags.string("output") === "json") session.print(goJson(complete));
        else {
          const { encodeYaml } = await import("../../apimachinery/serializer/yaml.ts");
          session.print(encodeYaml(complete));
        }
        return 0;
      },
      [
        { name: "raw", kind: "bool", help: "with certificates and tokens" },
        { name: "minify", kind: "bool", help: "only what the current context uses" },
        { name: "flatten", kind: "bool", help: "accepted" },
        { name: "merge", kind: "bool", default: true, help: "accepted" },
        { name: "output", short: "o", kind: "string", help: "yaml or json" },
      ],
    ),
    "current-context": simple("Display the current-context", "", async ({ session }) => {
      const { currentContext } = await session.config();
      if (!currentContext) throw new CommandError("current-context is not set");
      session.print(`${currentContext}\n`);
      return 0;
    }),
    "get-contexts": simple(
      "Describe one or many contexts",
      "[(-o|--output=)name)]",
      async ({ session, flags, args }) => {
        const { contexts = [], "current-context": current } = mergeFiles(await readFiles(session));
        const shown = contexts
          .filter(({ name }) => args.length === 0 || args.includes(name))
          .sort((a, b) => (a.name < b.name ? -1 : 1));
        if (flags.string("output") === "name") {
          session.print(shown.map(({ name }) => `${name}\n`).join(""));
          return 0;
        }
        const rows = shown.map(({ name, context }) => {
          const { cluster = "", user = "", namespace = "" } = (context ?? {}) as Record<string, string>;
          return [name === current ? "*" : "", name, cluster, user, namespace];
        });
        session.print(
          new TabWriter().format([
            ...(flags.bool("no-headers") ? [] : [["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"]]),
            ...rows,
          ]),
        );
        const unknown = args.find((name) => !contexts.some((context) => context.name === name));
        if (unknown !== undefined) throw new CommandError(`context ${unknown} not found`);
        return 0;
      },
      [
        { name: "output", short: "o", kind: "string", help: "name: only names" },
        { name: "no-headers", kind: "bool", help: "no line of headings" },
      ],
    ),
    "get-clusters": simple("Display clusters defined in the kubeconfig", "", async ({ session }) => {
      const { clusters = [] } = mergeFiles(await readFiles(session));
      session.print(["NAME", ...clusters.map(({ name }) => name)].map((line) => `${line}\n`).join(""));
      return 0;
    }),
    "get-users": simple("Display users defined in the kubeconfig", "", async ({ session }) => {
      const { users = [] } = mergeFiles(await readFiles(session));
      session.print(["NAME", ...users.map(({ name }) => name)].map((line) => `${line}\n`).join(""));
      return 0;
    }),
    "use-context": simple("Set the current-context in a kubeconfig file", "CONTEXT_NAME", async (invocation) => {
      const { session, args } = invocation;
      const [name] = args;
      if (!name) throw new CommandError("unexpected args: []");
      const { contexts = [] } = mergeFiles(await readFiles(session));
      if (!contexts.some((context) => context.name === name))
        throw new CommandError(`no context exists with the name: ${JSON.stringify(name)}`);
      await change(invocation, (file) => ({ ...file, "current-context": name }));
      session.print(`Switched to context ${JSON.stringify(name)}.\n`);
      return 0;
    }),
    "set-context": simple(
      "Set a context entry in kubeconfig",
      "[NAME | --current] [--cluster=cluster_nickname] [--user=user_nickname] [--namespace=namespace]",
      async (invocation) => {
        const { session, flags, args } = invocation;
        const files = mergeFiles(await readFiles(session));
        const name = flags.bool("current") ? files["current-context"] : args[0];
        if (!name) throw new CommandError("no current context is set");
        const exists = (files.contexts ?? []).some((context) => context.name === name);
        const changes = Object.fromEntries(
          ["cluster", "user", "namespace"]
            .filter((field) => flags.has(field))
            .map((field) => [field, flags.string(field)]),
        );
        await change(invocation, (file) => ({
          ...file,
          contexts: upsert(file.contexts, name, "context", changes),
        }));
        session.print(`Context ${JSON.stringify(name)} ${exists ? "modified" : "created"}.\n`);
        return 0;
      },
      [{ name: "current", kind: "bool", help: "the current context" }],
    ),
    "delete-context": removal("context", "contexts"),
    "delete-cluster": removal("cluster", "clusters"),
    "delete-user": removal("user", "users"),
    "rename-context": simple(
      "Rename a context from the kubeconfig file",
      "CONTEXT_NAME NEW_NAME",
      async (invocation) => {
        const { session, args } = invocation;
        const [from, to] = args;
        if (!from || !to) throw new CommandError("unexpected args: two names are needed");
        const { contexts = [] } = mergeFiles(await readFiles(session));
        if (!contexts.some(({ name }) => name === from))
          throw new CommandError(`cannot rename the context ${JSON.stringify(from)}, it's not in ${fileOf(session)}`);
        await change(invocation, (file) => ({
          ...file,
          contexts: (file.contexts ?? []).map((context) =>
            context.name === from ? { ...context, name: to } : context,
          ),
          ...(file["current-context"] === from ? { "current-context": to } : {}),
        }));
        session.print(`Context ${JSON.stringify(from)} renamed to ${JSON.stringify(to)}.\n`);
        return 0;
      },
    ),
  },
};

function removal(kind: string, field: "contexts" | "clusters" | "users"): Command {
  return simple(`Delete the specified ${kind} from the kubeconfig`, "NAME", async (invocation) => {
    const { session, args } = invocation;
    const [name] = args;
    const present = mergeFiles(await readFiles(session))[field] ?? [];
    if (!name || !present.some((each) => each.name === name)) {
      throw new CommandError(`cannot delete ${kind} ${name ?? ""}, not in ${fileOf(session)}`);
    }
    await change(invocation, (file) => ({
      ...file,
      [field]: (file[field] ?? []).filter((each) => each.name !== name),
    }));
    session.print(`deleted ${kind} ${name} from ${fileOf(session)}\n`);
    return 0;
  });
}

function filesOf(session: Invocation["session"]): string[] {
  return session.kubeconfigFiles() ?? [join(homedir(), ".kube", "config")];
}

const fileOf = (session: Invocation["session"]): string => filesOf(session)[0]!;

async function readFiles(session: Invocation["session"]): Promise<File[]> {
  const { parseYaml } = await import("../../apimachinery/serializer/yaml.ts");
  return filesOf(session).flatMap((file) => {
    try {
      return [(parseYaml(readFileSync(file, "utf8")).value ?? {}) as File];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  });
}

/** The first to name a thing decides it. */
function mergeFiles(files: readonly File[]): File {
  const merged: File = {};
  for (const field of ["clusters", "contexts", "users"] as const) {
    const found: Named[] = [];
    for (const file of files) {
      for (const each of file[field] ?? []) if (!found.some(({ name }) => name === each.name)) found.push(each);
    }
    merged[field] = found;
  }
  merged["current-context"] = files.map((file) => file["current-context"]).find(Boolean) ?? "";
  return merged;
}

function minified(file: File): File {
  const contexts = (file.contexts ?? []).filter(({ name }) => name === file["current-context"]);
  const { cluster, user } = ((contexts[0]?.["context"] as Record<string, string> | undefined) ?? {}) as Record<
    string,
    string
  >;
  return {
    ...file,
    contexts,
    clusters: (file.clusters ?? []).filter(({ name }) => name === cluster),
    users: (file.users ?? []).filter(({ name }) => name === user),
  };
}

const secretFields = new Set(["certificate-authority-data", "client-certificate-data", "client-key-data"]);

function withoutSecrets(file: File): File {
  return JSON.parse(
    JSON.stringify(file, (key, value: unknown) =>
      secretFields.has(key) ? "DATA+OMITTED" : key === "token" || key === "password" ? "REDACTED" : value,
    ),
  ) as File;
}

function upsert(entries: Named[] | undefined, name: string, field: string, changes: object): Named[] {
  const present = entries ?? [];
  const existing = present.find((each) => each.name === name);
  if (!existing) return [...present, { name, [field]: { cluster: "", user: "", ...changes } }];
  return present.map((each) =>
    each === existing ? { ...each, [field]: { ...(each[field] as object), ...changes } } : each,
  );
}

/** Writes the file that is written to anew; others' eyes must not read it. */
async function change({ session }: Invocation, edit: (file: File) => File): Promise<void> {
  const { encodeYaml } = await import("../../apimachinery/serializer/yaml.ts");
  const path = fileOf(session);
  const [first] = await readFiles(session);
  const text = encodeYaml(edit(first ?? { apiVersion: "v1", kind: "Config", preferences: {} }));
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}.new`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, path);
}
