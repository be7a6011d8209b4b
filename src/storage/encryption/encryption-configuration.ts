/** Upstream's EncryptionConfiguration (apiserver.config.k8s.io/v1): which resources are sealed at rest, with which keys. */
import { duplicate, type FieldError, FieldPath, forbidden, invalid, required } from "../../apimachinery/field-error.ts";
import { type Cipher, type CipherKind, cipherOf, keySizes } from "./ciphers.ts";

export interface EncryptionConfiguration {
  apiVersion: "apiserver.config.k8s.io/v1";
  kind: "EncryptionConfiguration";
  resources: {
    /** `secrets`, `deployments.apps`, `*.apps`, `*.` (the core group), `*.*`. */
    resources: string[];
    /** The first seals; all of them open. */
    providers: EncryptionProvider[];
  }[];
}

export type EncryptionProvider = { identity?: object } & Partial<
  Record<CipherKind, { keys: { name: string; secret: string }[] }>
>;

/** How the values of some resources are kept. */
export interface Sealing {
  /** Undefined: values are written as they are. */
  readonly writer: Cipher | undefined;
  readonly readers: readonly Cipher[];
  /** Values that were never sealed are read as well. */
  readonly readsPlain: boolean;
}

const kinds: readonly CipherKind[] = ["aesgcm", "aescbc", "secretbox"];

/** Every mistake, in upstream's words; none for a configuration that can be used. */
export function encryptionConfigurationErrors(
  { resources = [] }: EncryptionConfiguration,
  at = FieldPath.root,
): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  if (resources.length === 0) errors.push(required(at.child("resources"), "at least one resource must be configured"));
  for (const [i, one] of resources.entries()) {
    const path = at.child("resources").index(i);
    if (!one.resources?.length)
      errors.push(required(path.child("resources"), "resources[].resources must be specified"));
    for (const [j, name] of (one.resources ?? []).entries()) {
      const place = path.child("resources").index(j);
      if (seen.has(name)) errors.push(duplicate(place, name));
      seen.add(name);
      if (name === "*" || name === "" || /^\*[^.]/.test(name)) {
        errors.push(invalid(place, name, "use '*.<group>' to encrypt all resources of a group, '*.*' to encrypt all"));
      }
    }
    if (!one.providers?.length)
      errors.push(required(path.child("providers"), "resources[].providers must be specified"));
    for (const [j, provider] of (one.providers ?? []).entries()) {
      errors.push(...providerErrors(provider, path.child("providers").index(j)));
    }
  }
  return errors;
}

function providerErrors(provider: EncryptionProvider, path: FieldPath): FieldError[] {
  const named = Object.keys(provider ?? {});
  if (named.includes("kms")) return [forbidden(path.child("kms"), "key management services are not supported")];
  if (named.length === 0) return [required(path, "provider does not contain any of the expected providers")];
  if (named.length > 1) return [invalid(path, named.join(","), "more than one provider specified in a single element")];
  const kind = kinds.find((one) => provider[one]);
  if (!kind) return [];
  const { keys = [] } = provider[kind]!;
  if (keys.length === 0) return [required(path.child(kind, "keys"), "keys must be specified")];
  return keys.flatMap(({ name, secret }, i) => {
    const place = path.child(kind, "keys").index(i);
    if (!name || name.includes(":")) return [invalid(place.child("name"), name, "a key needs a name without colons")];
    if (!secret) return [required(place.child("secret"), "secret must be specified")];
    const size = Buffer.from(secret, "base64").length;
    if (keySizes[kind].includes(size)) return [];
    const sizes = keySizes[kind].join(", ");
    return [
      invalid(
        place.child("secret"),
        "REDACTED",
        `secret is not of the expected length, got ${size}, expected one of [${sizes}]`,
      ),
    ];
  });
}

/** Finds the sealing of a resource; undefined for those that the configuration does not name. The first mention that fits decides. */
export function sealingOf(
  configuration: EncryptionConfiguration,
): (group: string, plural: string) => Sealing | undefined {
  const entries = configuration.resources.map(({ resources, providers }) => {
    const sealing = toSealing(providers);
    return { matches: resources.map(matcherOf), sealing };
  });
  return (group, plural) => entries.find(({ matches }) => matches.some((fits) => fits(group, plural)))?.sealing;
}

function matcherOf(name: string): (group: string, plural: string) => boolean {
  const dot = name.indexOf(".");
  const wanted = dot < 0 ? { plural: name, group: "" } : { plural: name.slice(0, dot), group: name.slice(dot + 1) };
  return (group, plural) =>
    (wanted.group === "*" || wanted.group === group) && (wanted.plural === "*" || wanted.plural === plural);
}

function toSealing(providers: readonly EncryptionProvider[]): Sealing {
  const ciphers = providers.map((provider) => {
    const kind = kinds.find((one) => provider[one]);
    return kind
      ? provider[kind]!.keys.map(({ name, secret }) => cipherOf(kind, name, Buffer.from(secret, "base64")))
      : [];
  });
  return {
    writer: ciphers[0]?.[0],
    readers: ciphers.flat(),
    readsPlain: providers.some((provider) => provider.identity !== undefined),
  };
}
