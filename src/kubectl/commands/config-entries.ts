/** `kubectl config set-cluster`, `set-context`, `set-credentials`: an entry of the kubeconfig, whole or in parts. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { cut, type Flag, type FlagValues } from "../flags.ts";
import { type EntryList, entryNames, type Fields, KubeconfigFiles } from "../kubeconfig-files.ts";
import { exactly } from "./config-arguments.ts";

const embedFlag: Flag = { name: "embed-certs", kind: "bool", help: "keep the files' content, not their paths" };

export const setContext: Command = {
  summary: "Set a context entry in kubeconfig",
  usage: "[NAME | --current] [--cluster=cluster_nickname] [--user=user_nickname] [--namespace=namespace]",
  examples: ["config set-context --current --namespace=shop"],
  flags: [
    { name: "current", kind: "bool", help: "the current context" },
    { name: "cluster", kind: "string", help: "the cluster's name" },
    { name: "user", kind: "string", help: "the user's name" },
    { name: "namespace", short: "n", kind: "string", help: "the namespace to work in" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    if (args.length > 1) return exactly(1, "config set-context", setContext, invocation).length;
    if (flags.bool("current") && args.length > 0) {
      throw new CommandError("you cannot specify both a context name and --current");
    }
    if (!flags.bool("current") && !args[0]) {
      throw new CommandError("you must specify a non-empty context name or --current");
    }
    const files = await KubeconfigFiles.read(session);
    const name = args[0] ?? files.merged()["current-context"];
    if (!name) throw new CommandError("no current context is set");
    const present = files.entry("contexts", name);
    files.setEntry("contexts", name, {
      ...(present ?? { cluster: "", user: "" }),
      ...given(flags, "cluster", "user", "namespace"),
    });
    session.print(`Context ${JSON.stringify(name)} ${present ? "modified" : "created"}.\n`);
    return 0;
  },
};

export const setCluster: Command = {
  summary: "Set a cluster entry in kubeconfig",
  usage:
    "NAME [--server=server] [--certificate-authority=path/to/certificate/authority] [--insecure-skip-tls-verify=true] [--tls-server-name=example.com]",
  examples: ["config set-cluster lab --server=https://127.0.0.1:6443 --certificate-authority=ca.pem"],
  flags: [
    { name: "server", kind: "string", help: "the API server's address" },
    { name: "certificate-authority", kind: "string", help: "the file of the authority to trust" },
    { name: "insecure-skip-tls-verify", kind: "bool", help: "do not check the server's certificate" },
    { name: "tls-server-name", kind: "string", help: "the name to expect in the server's certificate" },
    { name: "proxy-url", kind: "string", help: "a proxy on the way" },
    embedFlag,
  ],
  async run(invocation) {
    const { session, flags } = invocation;
    const [name = ""] = exactly(1, "config set-cluster", setCluster, invocation);
    const [isInsecure, authority] = [flags.bool("insecure-skip-tls-verify"), flags.string("certificate-authority")];
    if (isInsecure && authority) {
      throw new CommandError("you cannot specify a certificate authority and insecure mode at the same time");
    }
    if (flags.bool("embed-certs") && !authority) {
      throw new CommandError("you must specify a --certificate-authority to embed");
    }
    await changeEntry(invocation, "clusters", name, { server: "" }, (fields) => {
      Object.assign(fields, given(flags, "server", "tls-server-name", "proxy-url"));
      if (flags.has("insecure-skip-tls-verify")) setSwitch(fields, "insecure-skip-tls-verify", isInsecure);
      if (isInsecure) forget(fields, "certificate-authority", "certificate-authority-data");
      if (authority) delete fields["insecure-skip-tls-verify"];
      setFile(fields, flags, "certificate-authority");
    });
    session.print(`Cluster ${JSON.stringify(name)} set.\n`);
    return 0;
  },
};

const interactiveModes = ["IfAvailable", "Never", "Always"];

export const setCredentials: Command = {
  summary: "Set a user entry in kubeconfig",
  usage:
    "NAME [--client-certificate=path/to/certfile] [--client-key=path/to/keyfile] [--token=bearer_token] [--exec-command=exec_command]",
  examples: ["config set-credentials jane --client-certificate=jane.pem --client-key=jane.key --embed-certs"],
  flags: [
    { name: "token", kind: "string", help: "the bearer token" },
    { name: "username", kind: "string", help: "the name for basic authentication" },
    { name: "password", kind: "string", help: "the password for basic authentication" },
    { name: "client-certificate", kind: "string", help: "the certificate's file" },
    { name: "client-key", kind: "string", help: "its key's file" },
    { name: "auth-provider", kind: "string", help: "the auth provider's name" },
    { name: "auth-provider-arg", kind: "list", help: "a setting of it, key=value; may be repeated" },
    { name: "exec-command", kind: "string", help: "a program that gives credentials" },
    { name: "exec-api-version", kind: "string", help: "in which form it gives them" },
    { name: "exec-interactive-mode", kind: "string", help: "whether it may ask: IfAvailable, Never or Always" },
    { name: "exec-provide-cluster-info", kind: "bool", help: "tell it of the cluster" },
    { name: "exec-arg", kind: "list", help: "an argument of it; may be repeated" },
    { name: "exec-env", kind: "list", help: "a variable for it, name=value, or name- to forget one; may be repeated" },
    embedFlag,
  ],
  async run(invocation) {
    const { session, flags } = invocation;
    const [name = ""] = exactly(1, "config set-credentials", setCredentials, invocation);
    const mode = flags.string("exec-interactive-mode");
    if (flags.string("token") && (flags.string("username") || flags.string("password"))) {
      throw new CommandError(
        "you cannot specify more than one authentication method at the same time: --token, --username/--password",
      );
    }
    if (flags.bool("embed-certs") && !flags.string("client-certificate") && !flags.string("client-key")) {
      throw new CommandError("you must specify a --client-certificate or --client-key to embed");
    }
    if (mode && !interactiveModes.includes(mode)) {
      throw new CommandError("invalid interactive mode type, can be only IfAvailable, Never, Always");
    }
    await changeEntry(invocation, "users", name, {}, (fields) => {
      // One way to log in takes the other's place.
      if (flags.string("token")) forget(fields, "username", "password", "tokenFile");
      if (flags.string("username") || flags.string("password")) forget(fields, "token", "tokenFile");
      Object.assign(fields, given(flags, "token", "username", "password"));
      setFile(fields, flags, "client-certificate");
      setFile(fields, flags, "client-key");
      setAuthProvider(fields, flags);
      setExec(fields, flags, mode);
    });
    session.print(`User ${JSON.stringify(name)} set.\n`);
    return 0;
  },
};

async function changeEntry(
  { session }: Invocation,
  list: EntryList,
  name: string,
  empty: Fields,
  change: (fields: Fields) => void,
): Promise<void> {
  const files = await KubeconfigFiles.read(session);
  const fields = structuredClone(files.entry(list, name) ?? empty);
  change(fields);
  if (!name) throw new CommandError(`you must specify a non-empty ${entryNames[list]} name`);
  files.setEntry(list, name, fields);
}

/** The flags that stand on the command line, as fields of the same names. */
function given(flags: FlagValues, ...names: string[]): Fields {
  return Object.fromEntries(names.filter((name) => flags.has(name)).map((name) => [name, flags.string(name)]));
}

function forget(fields: Fields, ...names: string[]): void {
  for (const name of names) delete fields[name];
}

/** `false` is not written. */
function setSwitch(fields: Fields, name: string, isOn: boolean): void {
  if (isOn) fields[name] = true;
  else delete fields[name];
}

/** A file by its path, or its content where the kubeconfig should hold it; each takes the other's place. */
function setFile(fields: Fields, flags: FlagValues, name: string): void {
  if (!flags.has(name)) return;
  const path = resolve(flags.string(name));
  if (!flags.bool("embed-certs")) {
    fields[name] = path;
    delete fields[`${name}-data`];
    return;
  }
  try {
    fields[`${name}-data`] = readFileSync(path).toString("base64");
  } catch {
    throw new CommandError(`could not stat ${name} file ${path}: stat ${path}: no such file or directory`);
  }
  delete fields[name];
}

/** Arguments are for a provider that is there; `key-` forgets one. */
function setAuthProvider(fields: Fields, flags: FlagValues): void {
  if (!flags.has("auth-provider") && !fields["auth-provider"]) return;
  const present = (fields["auth-provider"] ?? {}) as { name?: string; config?: Record<string, string> | null };
  const settings = new Map(Object.entries(present.config ?? {}));
  change(settings, flags.commaList("auth-provider-arg"));
  fields["auth-provider"] = {
    ...present,
    ...(flags.has("auth-provider") ? { name: flags.string("auth-provider") } : {}),
    config: settings.size > 0 ? Object.fromEntries(settings) : null,
  };
}

function setExec(fields: Fields, flags: FlagValues, mode: string): void {
  if (!flags.has("exec-command") && !fields["exec"]) return;
  const present = (fields["exec"] ?? {}) as { env?: { name: string; value: string }[] | null; args?: string[] | null };
  const variables = new Map((present.env ?? []).map(({ name, value }) => [name, value]));
  change(variables, flags.commaList("exec-env"));
  const env = [...variables].map(([name, value]) => ({ name, value }));
  fields["exec"] = {
    provideClusterInfo: false,
    ...present,
    ...(flags.has("exec-command") ? { command: flags.string("exec-command") } : {}),
    ...(flags.has("exec-api-version") ? { apiVersion: flags.string("exec-api-version") } : {}),
    ...(mode ? { interactiveMode: mode } : {}),
    ...(flags.has("exec-provide-cluster-info") ? { provideClusterInfo: flags.bool("exec-provide-cluster-info") } : {}),
    args: flags.has("exec-arg") ? flags.commaList("exec-arg") : (present.args ?? null),
    env: flags.has("exec-env") ? env : (present.env ?? null),
  };
}

/** `key=value` sets, `key-` forgets. */
function change(values: Map<string, string>, words: readonly string[]): void {
  for (const word of words) {
    const [key, value] = cut(word, "=");
    if (value !== undefined) values.set(key, value);
    else if (word.endsWith("-")) values.delete(word.slice(0, -1));
  }
}
