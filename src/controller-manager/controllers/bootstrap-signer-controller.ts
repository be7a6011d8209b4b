/** Signs kube-public/cluster-info with each bootstrap token, so that who holds a token can trust what it reads there. */
import { createHmac } from "node:crypto";
import type { ConfigMap, Secret } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { ConfigMaps, Secrets } from "../../api/resources.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { objectKey } from "../../controller-runtime/cache.ts";
import { defineController, wake } from "../../controller-runtime/controller.ts";

const clusterInfo = objectKey("cluster-info", "kube-public");
const signaturePrefix = "jws-kubeconfig-";

export function isBootstrapToken({ type, metadata }: DeepReadonly<Secret>): boolean {
  return type === "bootstrap.kubernetes.io/token" && metadata.namespace === "kube-system";
}

export const bootstrapSignerController = defineController<ConfigMap>({
  name: "bootstrap-signer-controller",
  reconciles: ConfigMaps,
  when: ({ type, object: { metadata } }) =>
    type !== "DELETED" && objectKey(metadata.name, metadata.namespace) === clusterInfo,
  wakesOn: [
    wake<Secret>({
      resource: Secrets,
      *keys(secret) {
        if (isBootstrapToken(secret)) yield clusterInfo;
      },
    }),
  ],
  writes: [ConfigMaps],
  async reconcile({ cache, api }) {
    const info = cache.get(ConfigMaps, clusterInfo);
    if (!info || info.metadata.deletionTimestamp) return;
    const data = signedData(info.data ?? {}, cache.list(Secrets, "kube-system").filter(isBootstrapToken));
    if (!semanticEqual(data, info.data)) await api.update(ConfigMaps, { ...info, data });
  },
});

/** The ConfigMap's data with one detached signature for each token that may sign, and no others. */
export function signedData(
  data: Readonly<Record<string, string>>,
  tokens: readonly DeepReadonly<Secret>[],
): Record<string, string> {
  const signed = Object.fromEntries(Object.entries(data).filter(([key]) => !key.startsWith(signaturePrefix)));
  const { kubeconfig } = signed;
  if (!kubeconfig) return { ...data };
  for (const token of tokens) {
    const read = (key: string) => Buffer.from(token.data?.[key] ?? "", "base64").toString();
    const [id, secret] = [read("token-id"), read("token-secret")];
    if (!id || !secret || read("usage-bootstrap-signing") !== "true" || token.metadata.deletionTimestamp) continue;
    signed[`${signaturePrefix}${id}`] = detachedSignature(kubeconfig, id, secret);
  }
  return signed;
}

/** A JSON Web Signature (HS256) whose middle part, the content, is left out. */
function detachedSignature(content: string, keyId: string, key: string): string {
  const encode = (text: string) => Buffer.from(text).toString("base64url");
  const header = encode(JSON.stringify({ alg: "HS256", kid: keyId }));
  const signature = createHmac("sha256", key)
    .update(`${header}.${encode(content)}`)
    .digest("base64url");
  return `${header}..${signature}`;
}
