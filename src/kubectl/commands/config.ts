/** `kubectl config`: what the kubeconfig says, and changes to it. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { Command, CommandGroup, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { cut, type Flag, type FlagValues } from "../flags.ts";
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

const embedFlag: Flag = { name: "embed-certs", kind: "bool", help: "keep the files' content, not their paths" };

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
    "set-cluster": simple(
      "Set a cluster entry in kubeconfig",
      "NAME [--server=server] [--certificate-authority=path/to/certificate/authority] [--insecure-skip-tls-verify=true] [--tls-server-name=example.com]",
      async (invocation) => {
        const { flags } = invocation;
        const name = exactlyOne(invocation);
        const changes = {
          ...given(flags, "server", "tls-server-name", "proxy-url"),
          ...fileOrData(flags, "certificate-authority"),
          ...(flags.has("insecure-skip-tls-verify")
            ? { "insecure-skip-tls-verify": flags.bool("insecure-skip-tls-verify") }
            : {}),
        };
        await change(invocation, (file) => ({ ...file, clusters: upsert(file.clusters, name, "cluster", changes) }));
        invocation.session.print(`Cluster ${JSON.stringify(name)} set.\n`);
        return 0;
      },
      [
        { name: "server", kind: "string", help: "the API server's address" },
        { name: "certificate-authority", kind: "string", help: "the file of the authority to trust" },
        { name: "insecure-skip-tls-verify", kind: "bool", help: "do not check the server's certificate" },
        { name: "tls-server-name", kind: "string", help: "the name to expect in the server's certificate" },
        { name: "proxy-url", kind: "string", help: "a proxy on the way" },
        embedFlag,
      ],
    ),
    "set-credentials": simple(
      "Set a user entry in kubeconfig",
      "NAME [--client-certificate=path/to/certfile] [--client-key=path/to/keyfile] [--token=bearer_token] [--exec-command=exec_command]",
      async (invocation) => {
        const { flags } = invocation;
        const name = exactlyOne(invocation);
        const command = flags.string("exec-command");
        const exec = {
          apiVersion: flags.string("exec-api-version") || null,
          args: flags.list("exec-arg").length > 0 ? flags.list("exec-arg") : null,
          command,
          env:
            flags.list("exec-env").length > 0
              ? flags.list("exec-env").map((pair) => {
                  const [key, value = ""] = cut(pair, "=");
                  return { name: key, value };
                })
              : null,
          interactiveMode: "IfAvailable",
          provideClusterInfo: false,
        };
        const changes = {
          ...given(flags, "token", "username", "password"),
          ...fileOrData(flags, "client-certificate"),
          ...fileOrData(flags, "client-key"),
          ...(command ? { exec } : {}),
        };
        await change(invocation, (file) => ({ ...file, users: upsert(file.users, name, "user", changes) }));
        invocation.session.print(`User ${JSON.stringify(name)} set.\n`);
        return 0;
      },
      [
        { name: "token", kind: "string", help: "the bearer token" },
        { name: "username", kind: "string", help: "the name for basic authentication" },
        { name: "password", kind: "string", help: "the password for basic authentication" },
        { name: "client-certificate", kind: "string", help: "the certificate's file" },
        { name: "client-key", kind: "string", help: "its key's file" },
        { name: "exec-command", kind: "string", help: "a program that gives credentials" },
        { name: "exec-api-version", kind: "string", help: "in which form it gives them" },
        { name: "exec-arg", kind: "list", help: "an argument of it; may be repeated" },
        { name: "exec-env", kind: "list", help: "a variable for it, name=value; may be repeated" },
        embedFlag,
      ],
    ),
    set: simple("Set an individual value in a kubeconfig file", "PROPERTY_NAME PROPERTY_VALUE", async (invocation) => {
      const [property, value] = invocation.args;
      if (property === undefined || value === undefined || invocation.args.length > 2) {
        throw new CommandError(`Unexpected args: [${invocation.args.join(" ")}]`);
      }
      await change(invocation, (file) => withProperty(file, property, value));
      invocation.session.print(`Property ${JSON.stringify(property)} set.\n`);
      return 0;
    }),
    unset: simple("Unset an individual value in a kubeconfig file", "PROPERTY_NAME", async (invocation) => {
      const property = invocation.args[0];
      if (property === undefined || invocation.args.length > 1) {
        throw new CommandError(`Unexpected args: [${invocation.args.join(" ")}]`);
      }
      await change(invocation, (file) => withProperty(file, property, undefined));
      invocation.session.print(`Property ${JSON.stringify(property)} unset.\n`);
      return 0;
    }),
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

function exactlyOne({ args }: Invocation): string {
  if (args.length !== 1) throw new CommandError(`Unexpected args: [${args.join(" ")}]`);
  return args[0]!;
}

/** The flags that stand on the command line, as fields of the same names. */
function given(flags: FlagValues, ...names: string[]): Record<string, string> {
  return Object.fromEntries(names.filter((name) => flags.has(name)).map((name) => [name, flags.string(name)]));
}

/** A file by its path, or its content where the kubeconfig should hold it; each takes the other's place. */
function fileOrData(flags: FlagValues, name: string): Record<string, string | undefined> {
  if (!flags.has(name)) return {};
  const path = resolve(flags.string(name));
  if (!flags.bool("embed-certs")) return { [name]: path, [`${name}-data`]: undefined };
  try {
    return { [`${name}-data`]: readFileSync(path).toString("base64"), [name]: undefined };
  } catch {
    throw new CommandError(`could not stat ${name} file ${path}: stat ${path}: no such file or directory`);
  }
}

const listsOfProperty: Readonly<Record<string, ["clusters" | "contexts" | "users", string]>> = {
  clusters: ["clusters", "cluster"],
  contexts: ["contexts", "context"],
  users: ["users", "user"],
};

/** `current-context`, or `users.jane.token`: names may hold dots, fields do not. */
function withProperty(file: File, property: string, value: string | undefined): File {
  if (property === "current-context") return { ...file, "current-context": value ?? "" };
  const [head = "", ...rest] = property.split(".");
  const [list, field] = listsOfProperty[head] ?? [];
  if (!list || !field || rest.length === 0) {
    throw new CommandError(`unable to locate path ${property}, the property does not exist`);
  }
  const present = file[list] ?? [];
  const whole = rest.join(".");
  if (value === undefined && present.some(({ name }) => name === whole)) {
    return { ...file, [list]: present.filter(({ name }) => name !== whole) };
  }
  if (rest.length < 2) throw new CommandError(`no property of ${whole} is named`);
  const typed = value === "true" ? true : value === "false" ? false : value;
  return { ...file, [list]: upsert(present, rest.slice(0, -1).join("."), field, { [rest.at(-1)!]: typed }) };
}

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
    merged[field] = found.sort((a, b) => (a.name < b.name ? -1 : 1));
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
  const empty = field === "context" ? { cluster: "", user: "" } : field === "cluster" ? { server: "" } : {};
  if (!existing) return [...present, { name, [field]: { ...empty, ...changes } }];
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
