/** `kubectl create configmap` and `secret`: what literals and files hold, under keys. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Unstructured } from "../../api.ts";
import type { Invocation } from "../../command.ts";
import { CommandError } from "../../command-error.ts";
import { contentHash } from "../../content-hash.ts";
import { cut, type Flag, type FlagValues } from "../../flags.ts";
import { objectOf } from "../../generators.ts";
import type { Generators } from "./generator.ts";

const appendHash: Flag = { name: "append-hash", kind: "bool", help: "end the name in a hash of the content" };
const fromFlags: readonly Flag[] = [
  { name: "from-literal", kind: "list", help: "key=value; may be repeated" },
  { name: "from-file", kind: "list", help: "[key=]file, or a folder of files; may be repeated" },
  { name: "from-env-file", kind: "list", help: "a file of key=value lines" },
  appendHash,
];

/** How each kind names a key that cannot be one, and a key that is there already. */
interface KeyWords {
  invalid(key: string): string;
  taken(key: string): string;
}

const keyRule =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const variableRule =
  "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')";

export const configMaps: Generators = {
  configmap: {
    summary: "Create a config map from a local file, directory or literal value",
    usage: "NAME [--from-file=[key=]source] [--from-literal=key1=value1] [--dry-run=server|client|none]",
    flags: fromFlags,
    failure: "failed to create configmap",
    make(invocation, name) {
      const { flags } = invocation;
      const entries = dataOf(invocation, {
        invalid: (key) => `${JSON.stringify(key)} is not a valid key name for a ConfigMap: ${keyRule}`,
        taken: (key) =>
          `cannot add key ${JSON.stringify(key)}, another key by that name already exists in Data for ConfigMap ${JSON.stringify(name)}`,
      });
      const data = Object.fromEntries(
        [...entries].filter(([, bytes]) => isText(bytes)).map(([key, bytes]) => [key, bytes.toString()]),
      );
      const binaryData = Object.fromEntries(
        [...entries].filter(([, bytes]) => !isText(bytes)).map(([key, bytes]) => [key, bytes.toString("base64")]),
      );
      const content = { ...unlessEmpty("data", data), ...unlessEmpty("binaryData", binaryData) };
      const hashed = {
        kind: "ConfigMap",
        name,
        data: content["data"] ?? {},
        ...unlessEmpty("binaryData", binaryData),
      };
      return objectOf("v1", "ConfigMap", withHash(flags, name, hashed), content);
    },
  },
};

export const secrets: Generators = {
  generic: {
    summary: "Create a secret from a local file, directory, or literal value",
    usage:
      "NAME [--type=string] [--from-file=[key=]source] [--from-literal=key1=value1] [--dry-run=server|client|none]",
    flags: [...fromFlags, { name: "type", kind: "string", help: "the secret's type" }],
    failure: "failed to create secret",
    make: (invocation, name) =>
      secretOf(invocation.flags, name, dataOf(invocation, secretKeys), invocation.flags.string("type")),
  },
  "docker-registry": {
    summary: "Create a secret for use with a Docker registry",
    usage:
      "NAME --docker-username=user --docker-password=password --docker-email=email [--docker-server=string] [--from-file=[key=]source]",
    flags: [
      { name: "docker-server", kind: "string", default: "https://index.docker.io/v1/", help: "the registry" },
      { name: "docker-username", kind: "string", help: "who pulls" },
      { name: "docker-password", kind: "string", help: "with which password" },
      { name: "docker-email", kind: "string", help: "the user's address" },
      { name: "from-file", kind: "list", help: "a file that docker login has written" },
      appendHash,
    ],
    failure: "failed to create secret docker-registry",
    make({ flags }, name) {
      const key = ".dockerconfigjson";
      const type = "kubernetes.io/dockerconfigjson";
      const files = flags.list("from-file").map((source) => (source.includes("=") ? source : `${key}=${source}`));
      if (files.length > 0) return secretOf(flags, name, dataOfFiles(files, secretKeys), type);
      const [server, username, password, email] = ["server", "username", "password", "email"].map((part) =>
        flags.string(`docker-${part}`),
      );
      if (!server || !username || !password) {
        throw new CommandError(
          "either --from-file or the combination of --docker-username, --docker-password and --docker-server is required",
        );
      }
      const auth = Buffer.from(`${username}:${password}`).toString("base64");
      const config = { auths: { [server]: { username, password, ...(email ? { email } : {}), auth } } };
      return secretOf(flags, name, new Map([[key, Buffer.from(JSON.stringify(config))]]), type);
    },
  },
  tls: {
    summary: "Create a TLS secret",
    usage: "NAME --cert=path/to/cert/file --key=path/to/key/file [--dry-run=server|client|none]",
    flags: [
      { name: "cert", kind: "string", help: "the certificate's file" },
      { name: "key", kind: "string", help: "its key's file" },
      appendHash,
    ],
    failure: "failed to create secret tls",
    make({ flags }, name) {
      if (!flags.string("cert") || !flags.string("key")) throw new CommandError("key and cert must be specified");
      const [certificate, key] = [fileOf(flags.string("cert")), fileOf(flags.string("key"))];
      checkPair(certificate, key);
      return secretOf(
        flags,
        name,
        new Map([
          ["tls.crt", certificate],
          ["tls.key", key],
        ]),
        "kubernetes.io/tls",
      );
    },
  },
};

const secretKeys: KeyWords = {
  invalid: (key) => `${JSON.stringify(key)} is not valid key name for a Secret ${keyRule}`,
  taken: (key) => `cannot add key ${key}, another key by that name already exists`,
};

function secretOf(flags: FlagValues, name: string, entries: ReadonlyMap<string, Buffer>, type: string): Unstructured {
  const data = Object.fromEntries([...entries].map(([key, bytes]) => [key, bytes.toString("base64")]));
  const hashed = { kind: "Secret", name, type, data };
  return objectOf("v1", "Secret", withHash(flags, name, hashed), {
    ...unlessEmpty("data", data),
    ...(type ? { type } : {}),
  });
}

function withHash(flags: FlagValues, name: string, content: Record<string, unknown>): string {
  return flags.bool("append-hash") ? `${name}-${contentHash(content)}` : name;
}

function unlessEmpty(field: string, map: Record<string, string>): Record<string, Record<string, string>> {
  return Object.keys(map).length > 0 ? { [field]: map } : {};
}

/** What `--from-literal`, `--from-file` and `--from-env-file` say. */
function dataOf({ flags, session }: Invocation, words: KeyWords): Map<string, Buffer> {
  const [files, literals] = [flags.list("from-file"), flags.list("from-literal")];
  const environments = flags.commaList("from-env-file");
  if (environments.length > 0 && files.length + literals.length > 0) {
    throw new CommandError("from-env-file cannot be combined with from-file or from-literal");
  }
  const entries = dataOfFiles(files, words);
  for (const literal of literals) {
    const [key, value] = cut(literal, "=");
    if (value === undefined || key === "") {
      throw new CommandError(`invalid literal source ${literal}, expected key=value`);
    }
    add(entries, key, Buffer.from(value), words);
  }
  for (const file of environments) {
    for (const [key, value] of variablesIn(fileOf(file).toString(), session.terminal.environment))
      add(entries, key, Buffer.from(value), words);
  }
  return entries;
}

function dataOfFiles(sources: readonly string[], words: KeyWords): Map<string, Buffer> {
  const entries = new Map<string, Buffer>();
  for (const source of sources) {
    const { key, path } = fileSource(source);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) throw new CommandError(`error reading ${path}: no such file or directory`);
    if (!stat.isDirectory()) {
      add(entries, key ?? basename(path), readFileSync(path), words);
      continue;
    }
    if (key !== undefined) throw new CommandError("cannot give a key name for a directory path");
    for (const name of readdirSync(path).sort()) {
      const file = join(path, name);
      if (statSync(file).isFile()) add(entries, name, readFileSync(file), words);
    }
  }
  return entries;
}

function fileSource(source: string): { key: string | undefined; path: string } {
  const parts = source.split("=");
  if (parts.length > 2) throw new CommandError("key names or file paths cannot contain '='");
  const [first = "", second] = parts;
  if (second === undefined) return { key: undefined, path: first };
  if (first === "") throw new CommandError(`key name for file path ${second} missing`);
  if (second === "") throw new CommandError(`file path for key name ${first} missing`);
  return { key: first, path: second };
}

function add(entries: Map<string, Buffer>, key: string, bytes: Buffer, words: KeyWords): void {
  if (!/^[-._a-zA-Z0-9]+$/.test(key)) throw new CommandError(words.invalid(key));
  if (entries.has(key)) throw new CommandError(words.taken(key));
  entries.set(key, bytes);
}

/** A name without `=` takes its value from the environment. */
function variablesIn(text: string, environment: NodeJS.ProcessEnv): [name: string, value: string][] {
  const lines = text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .map((line) => line.trimStart().replace(/\r$/, ""));
  return lines
    .filter((line) => line && !line.startsWith("#"))
    .map((line) => {
      const [name, value = environment[name] ?? ""] = cut(line, "=");
      if (!/^[-._a-zA-Z][-._a-zA-Z0-9]*$/.test(name)) {
        throw new CommandError(`${JSON.stringify(name)} is not a valid key name: ${variableRule}`);
      }
      return [name, value];
    });
}

function fileOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    throw new CommandError(`Cannot read file ${path}, open ${path}: no such file or directory`);
  }
}

/** Throws a CommandError unless both are PEM and belong together. */
function checkPair(certificate: Buffer, key: Buffer): void {
  for (const [what, bytes] of [
    ["certificate", certificate],
    ["key", key],
  ] as const) {
    if (!bytes.includes("-----BEGIN ")) throw new CommandError(`tls: failed to find any PEM data in ${what} input`);
  }
  let belongs: boolean;
  try {
    belongs = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    throw new CommandError(`tls: failed to parse the key pair: ${(error as Error).message}`);
  }
  if (!belongs) throw new CommandError("tls: private key does not match public key");
}

function isText(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString()).equals(bytes);
}
