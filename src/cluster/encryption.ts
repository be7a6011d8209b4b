/** Which of a cluster's values are sealed at rest: upstream's EncryptionConfiguration, read from a file that no other file repeats. */
import { readFile } from "node:fs/promises";
import { definitions } from "../resources/catalog.ts";
import {
  type EncryptionConfiguration,
  encryptionConfigurationErrors,
  type Sealing,
  sealingOf,
} from "../storage/encryption/encryption-configuration.ts";

export class EncryptionConfigurationError extends Error {
  override name = "EncryptionConfigurationError";
}

/** Finds the sealing of a store's key; undefined: it is not sealed. */
export type SealingOf = (key: string) => Sealing | undefined;

/** Finds the sealing of a store's key. Throws an EncryptionConfigurationError that names every mistake. */
export async function readEncryption(file: string): Promise<SealingOf> {
  return parseEncryption(await encryptionText(file), file);
}

export async function encryptionText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new EncryptionConfigurationError(`${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** As `readEncryption`, of a text that was read from `file`. */
export async function parseEncryption(text: string, file: string): Promise<SealingOf> {
  const { parse } = await import("yaml");
  let configuration: EncryptionConfiguration | null;
  try {
    configuration = parse(text) as EncryptionConfiguration | null;
  } catch (cause) {
    throw new EncryptionConfigurationError(`${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
  if (configuration?.apiVersion !== "apiserver.config.k8s.io/v1" || configuration.kind !== "EncryptionConfiguration") {
    throw new EncryptionConfigurationError(`${file} holds no EncryptionConfiguration of apiserver.config.k8s.io/v1`);
  }
  const errors = encryptionConfigurationErrors(configuration);
  if (errors.length > 0) {
    const lines = errors.map(({ field, message }) => `${file}: ${field}: ${message}`);
    throw new EncryptionConfigurationError(lines.join("\n"));
  }
  const find = sealingOf(configuration);
  const known = new Map<string, Sealing | undefined>();
  return (key) => {
    const [, , first = "", second = ""] = key.split("/");
    const isGroup = first.includes(".") || shortGroups.has(first);
    const [group, plural] = isGroup ? [first, second] : ["", first];
    const name = `${plural}.${group}`;
    if (!known.has(name)) known.set(name, find(group, plural));
    return known.get(name);
  };
}

/** Groups without a dot: in a store's key they are not told from resources of the core group by their looks. */
const shortGroups = new Set(definitions.map(({ group }) => group).filter((group) => group && !group.includes(".")));
