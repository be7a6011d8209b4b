/** Bootstrap tokens, `<id>.<secret>`: what a machine shows that may join (kubeadm's `token`). */
import type { Secret } from "../../api/core/v1.ts";
import type { DeepReadonly, New } from "../../api/object.ts";
import { rfc3339 } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";

export interface BootstrapToken {
  id: string;
  secret: string;
}

/** Who holds a token for joining is in it. */
export const joinersGroup = "system:bootstrappers:kubeadm:default-node-token";

const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";

export function newToken(random: Random): BootstrapToken {
  const letters = (count: number) =>
    Array.from({ length: count }, () => alphabet[random.int(alphabet.length)]).join("");
  return { id: letters(6), secret: letters(16) };
}

/** Throws in words for the command line. */
export function parseToken(text: string): BootstrapToken {
  const match = /^([a-z0-9]{6})\.([a-z0-9]{16})$/.exec(text);
  if (!match)
    throw new Error(`the bootstrap token ${JSON.stringify(text)} was not of the form "abcdef.0123456789abcdef"`);
  const [, id = "", secret = ""] = match;
  return { id, secret };
}

export function tokenSecret(
  { id, secret }: BootstrapToken,
  expiresAtMs: number | undefined,
  description: string,
): New<Secret> {
  return {
    metadata: { name: tokenSecretName(id), namespace: "kube-system" },
    type: "bootstrap.kubernetes.io/token",
    stringData: {
      "token-id": id,
      "token-secret": secret,
      ...(description ? { description } : {}),
      ...(expiresAtMs === undefined ? {} : { expiration: rfc3339(expiresAtMs) }),
      "usage-bootstrap-authentication": "true",
      "usage-bootstrap-signing": "true",
      "auth-extra-groups": joinersGroup,
    },
  };
}

export function tokenSecretName(id: string): string {
  return `bootstrap-token-${id}`;
}

/** For `pinnace token list`; undefined for another Secret. */
export function describeToken({
  type,
  data = {},
}: DeepReadonly<Secret>): { token: string; expires: string; description: string } | undefined {
  if (type !== "bootstrap.kubernetes.io/token") return undefined;
  const read = (key: string) => Buffer.from(data[key] ?? "", "base64").toString();
  return {
    token: `${read("token-id")}.${read("token-secret")}`,
    expires: read("expiration") || "<never>",
    description: read("description"),
  };
}
