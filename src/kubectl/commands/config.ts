/** `kubectl config`: what the kubeconfig says; its setters have a file of their own. */
import { readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import type { Unstructured } from "../api.ts";
import type { Command, CommandGroup, Invocation } from "../command.ts";
import { CommandError, usageError } from "../command-error.ts";
import {
  complete,
  type EntryList,
  entryNames,
  type Fields,
  type KubeconfigFile,
  KubeconfigFiles,
} from "../kubeconfig-files.ts";
import { encodeKyaml } from "../printers/kyaml.ts";
import { goJsonInOrder } from "../printers/printable.ts";
import { outputFlags, printerOf } from "../printers/printer.ts";
import { TabWriter } from "../tab-writer.ts";
import { exactly } from "./config-arguments.ts";
import { setCluster, setContext, setCredentials } from "./config-entries.ts";
import { setProperty, unsetProperty } from "./config-properties.ts";

const view: Command = {
  summary: "Display merged kubeconfig settings or a specified kubeconfig file",
  usage: "[flags]",
  examples: ["config view", "config view --minify --raw", "config view -o jsonpath={.current-context}"],
  flags: [
    { ...outputFlags[0]!, default: "yaml" },
    ...outputFlags.slice(1),
    { name: "raw", kind: "bool", help: "with certificates and tokens" },
    { name: "minify", kind: "bool", help: "only what the current context uses" },
    { name: "flatten", kind: "bool", help: "the files' contents instead of their paths" },
    { name: "merge", kind: "bool", default: true, help: "all files as one" },
  ],
  async run({ session, flags, args }) {
    if (args.length > 0) throw usageError("config view", `unexpected arguments: [${args.join(" ")}]`);
    if (!flags.bool("merge") && !session.kubeconfigFlag) {
      throw new CommandError("if merge==false a precise file must be specified");
    }
    const files = await KubeconfigFiles.read(session);
    const merged = files.merged();
    const chosen = flags.bool("minify") ? minified(merged, session.contextFlag) : merged;
    const whole =
      flags.bool("flatten") || flags.bool("minify") ? readable(files, chosen, flags.bool("flatten")) : chosen;
    const shown = complete(flags.bool("raw") || flags.bool("flatten") ? whole : withoutSecrets(whole));
    if (flags.string("output") === "json") {
      session.print(`${goJsonInOrder(inFieldOrder(shown), 4)}\n`);
      return 0;
    }
    if (flags.string("output") === "kyaml") {
      session.print(encodeKyaml(inFieldOrder(shown)));
      return 0;
    }
    session.print(await (await printerOf(flags))!(shown as unknown as Unstructured));
    return 0;
  },
};

const getContexts: Command = {
  summary: "Describe one or many contexts",
  usage: "[(-o|--output=)name)]",
  examples: ["config get-contexts", "config get-contexts -o name"],
  flags: [
    { name: "output", short: "o", kind: "string", help: "name: only names" },
    { name: "no-headers", kind: "bool", help: "no line of headings" },
  ],
  async run({ session, flags, args }) {
    const output = flags.string("output");
    if (output && output !== "name") {
      throw new CommandError(
        `--output ${output} is not available in kubectl config get-contexts; resetting to default output format`,
      );
    }
    const { contexts, "current-context": current } = (await KubeconfigFiles.read(session)).merged();
    const shown = contexts.filter(({ name }) => args.length === 0 || args.includes(name));
    if (output === "name") {
      session.print(shown.map(({ name }) => `${name}\n`).join(""));
      return 0;
    }
    const rows = shown.map(({ name, context }) => {
      const { cluster = "", user = "", namespace = "" } = (context ?? {}) as Record<string, string>;
      return [name === current ? "*" : "", name, cluster, user, namespace];
    });
    const heading = flags.bool("no-headers") ? [] : [["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"]];
    session.print(new TabWriter().format([...heading, ...rows]));
    const unknown = args.find((name) => !contexts.some((context) => context.name === name));
    if (unknown !== undefined) throw new CommandError(`context ${unknown} not found`);
    return 0;
  },
};

const currentContext: Command = {
  summary: "Display the current-context",
  usage: "",
  flags: [],
  async run({ session }) {
    const { currentContext: name } = await session.config();
    if (!name) throw new CommandError("current-context is not set");
    session.print(`${name}\n`);
    return 0;
  },
};

const useContext: Command = {
  summary: "Set the current-context in a kubeconfig file",
  usage: "CONTEXT_NAME",
  examples: ["config use-context lab"],
  flags: [],
  async run(invocation) {
    const [name = ""] = exactly(1, "config use-context", useContext, invocation);
    const files = await KubeconfigFiles.read(invocation.session);
    if (!files.entry("contexts", name))
      throw new CommandError(`no context exists with the name: ${JSON.stringify(name)}`);
    files.setCurrentContext(name);
    invocation.session.print(`Switched to context ${JSON.stringify(name)}.\n`);
    return 0;
  },
};

const renameContext: Command = {
  summary: "Rename a context from the kubeconfig file",
  usage: "CONTEXT_NAME NEW_NAME",
  examples: ["config rename-context lab course"],
  flags: [],
  async run(invocation) {
    const [from = "", to = ""] = exactly(2, "config rename-context", renameContext, invocation);
    const files = await KubeconfigFiles.read(invocation.session);
    const fields = files.entry("contexts", from);
    const place = files.fileOf("contexts", from);
    if (!fields) throw new CommandError(`cannot rename the context ${JSON.stringify(from)}, it's not in ${place}`);
    if (files.entry("contexts", to)) {
      throw new CommandError(
        `cannot rename the context ${JSON.stringify(from)}, the context ${JSON.stringify(to)} already exists in ${place}`,
      );
    }
    files.setEntry("contexts", from, undefined);
    files.setEntry("contexts", to, fields);
    if (files.merged()["current-context"] === from) files.setCurrentContext(to);
    invocation.session.print(`Context ${JSON.stringify(from)} renamed to ${JSON.stringify(to)}.\n`);
    return 0;
  },
};

export const config: CommandGroup = {
  summary: "Modify kubeconfig files",
  subcommands: {
    view,
    "current-context": currentContext,
    "get-contexts": getContexts,
    "get-clusters": names("clusters"),
    "get-users": names("users"),
    "use-context": useContext,
    use: useContext,
    "set-context": setContext,
    "set-cluster": setCluster,
    "set-credentials": setCredentials,
    set: setProperty,
    unset: unsetProperty,
    "delete-context": removal("contexts"),
    "delete-cluster": removal("clusters"),
    "delete-user": removal("users"),
    "rename-context": renameContext,
    rename: renameContext,
  },
};

function names(list: EntryList): Command {
  return {
    summary: `Display ${list} defined in the kubeconfig`,
    usage: "",
    flags: [],
    async run({ session }) {
      const entries = (await KubeconfigFiles.read(session)).merged()[list];
      session.print(["NAME", ...entries.map(({ name }) => name)].map((line) => `${line}\n`).join(""));
      return 0;
    },
  };
}

function removal(list: EntryList): Command {
  const kind = entryNames[list];
  const command: Command = {
    summary: `Delete the specified ${kind} from the kubeconfig`,
    usage: "NAME",
    flags: [],
    async run(invocation: Invocation) {
      const { session, args } = invocation;
      const [name] = args;
      if (name === undefined || args.length > 1) {
        const { helpOf } = await import("../help.ts");
        session.print(helpOf(`config delete-${kind}`, command));
        return 0;
      }
      const files = await KubeconfigFiles.read(session);
      const place = files.fileOf(list, name);
      if (!files.entry(list, name)) throw new CommandError(`cannot delete ${kind} ${name}, not in ${place}`);
      if (list === "contexts" && files.merged()["current-context"] === name) {
        session.printError(
          `warning: this removed your active context, use "kubectl config use-context" to select a different one\n`,
        );
      }
      files.setEntry(list, name, undefined);
      session.print(`deleted ${kind} ${name} from ${place}\n`);
      return 0;
    },
  };
  return command;
}

/** What one context uses. Throws a CommandError when there is no such one. */
function minified(file: KubeconfigFile, wanted: string): KubeconfigFile {
  const current = wanted || file["current-context"];
  if (!current) throw new CommandError("current-context must exist in order to minify");
  const contexts = file.contexts.filter(({ name }) => name === current);
  if (contexts.length === 0) throw new CommandError(`cannot locate context ${current}`);
  const { cluster, user } = (contexts[0]!["context"] ?? {}) as { cluster?: string; user?: string };
  return {
    ...file,
    "current-context": current,
    contexts,
    clusters: file.clusters.filter(({ name }) => name === cluster),
    users: file.users.filter(({ name }) => name === user),
  };
}

const fileFields = ["certificate-authority", "client-certificate", "client-key"];

/** With the files that entries name found from here, or their contents in their place. */
function readable(files: KubeconfigFiles, file: KubeconfigFile, isFlat: boolean): KubeconfigFile {
  const mended = (list: "clusters" | "users") =>
    file[list].map((entry) => {
      const fields: Fields = { ...(entry[entryNames[list]] as Fields) };
      for (const field of fileFields) {
        const named = fields[field] as string | undefined;
        if (!named) continue;
        const path = isAbsolute(named) ? named : join(dirname(files.fileOf(list, entry.name)), named);
        if (!isFlat) fields[field] = path;
        else {
          fields[`${field}-data`] ??= contentOf(path);
          delete fields[field];
        }
      }
      return { ...entry, [entryNames[list]]: fields };
    });
  return { ...file, clusters: mended("clusters"), users: mended("users") };
}

function contentOf(path: string): string {
  try {
    return readFileSync(path).toString("base64");
  } catch {
    throw new CommandError(`open ${path}: no such file or directory`);
  }
}

const omittedFields = new Set(["certificate-authority-data", "client-certificate-data", "client-key-data"]);
const redactedFields = new Set(["token", "password"]);

function withoutSecrets(file: KubeconfigFile): KubeconfigFile {
  const hidden = (key: string, value: unknown) =>
    omittedFields.has(key) ? "DATA+OMITTED" : redactedFields.has(key) ? "REDACTED" : value;
  return JSON.parse(JSON.stringify(file, hidden)) as KubeconfigFile;
}

/** What Go's structs write first; what is not among it stands at the end. */
const fieldOrder =
  "kind,apiVersion,preferences,colors,clusters,users,contexts,current-context,name,server,tls-server-name,insecure-skip-tls-verify,certificate-authority,certificate-authority-data,proxy-url,disable-compression,client-certificate,client-certificate-data,client-key,client-key-data,token,tokenFile,as,as-uid,as-groups,as-user-extra,username,password,auth-provider,exec,cluster,user,context,namespace,command,args,env,apiVersion,installHint,provideClusterInfo,interactiveMode,value,config".split(
    ",",
  );

function inFieldOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inFieldOrder);
  if (typeof value !== "object" || value === null) return value;
  const isExec = "provideClusterInfo" in value;
  const place = (key: string) => {
    const at = isExec && key === "apiVersion" ? fieldOrder.lastIndexOf(key) : fieldOrder.indexOf(key);
    return at < 0 ? fieldOrder.length : at;
  };
  const entries = Object.entries(value).sort(([a], [b]) => place(a) - place(b));
  return Object.fromEntries(entries.map(([key, inner]) => [key, inFieldOrder(inner)]));
}
