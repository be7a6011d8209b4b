/** Where objects hold the cluster's authority: all of them get the new one at once. */
import { ConfigMaps, Secrets } from "../api/resources.ts";
import { isConflict, isNotFound } from "../apimachinery/status-error.ts";
import type { Client } from "../client/client.ts";
import { clusterInfo } from "./joining/join-objects.ts";

/** `next`: a bundle in PEM. */
export async function publishAuthority(client: Client, next: string): Promise<void> {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const [published, infos, secrets] = await Promise.all([
    client.list(ConfigMaps, { fieldSelector: "metadata.name=kube-root-ca.crt" }),
    client.list(ConfigMaps, { namespace: clusterInfo.namespace, fieldSelector: `metadata.name=${clusterInfo.name}` }),
    client.list(Secrets, { fieldSelector: "type=kubernetes.io/service-account-token" }),
  ]);
  const give = async (what: typeof ConfigMaps | typeof Secrets, ref: Ref, data: Record<string, string>) => {
    try {
      await client.patch(what as typeof ConfigMaps, ref, { type: "merge", body: { data } });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  };
  await Promise.all([
    ...published.items
      .filter(({ data }) => data?.["ca.crt"] !== next)
      .map(({ metadata }) => give(ConfigMaps, refTo(metadata), { "ca.crt": next })),
    ...infos.items.map(({ metadata, data = {} }) => {
      const kubeconfig = (data["kubeconfig"] ?? "").replace(
        /certificate-authority-data: \S+/,
        `certificate-authority-data: ${base64(next)}`,
      );
      return kubeconfig === data["kubeconfig"] ? undefined : give(ConfigMaps, refTo(metadata), { kubeconfig });
    }),
    ...secrets.items
      .filter(({ data }) => data?.["ca.crt"] !== base64(next))
      .map(({ metadata }) => give(Secrets, refTo(metadata), { "ca.crt": base64(next) })),
  ]);
}

interface Ref {
  name: string;
  namespace: string;
}

function refTo({ name, namespace = "" }: { readonly name: string; readonly namespace?: string }): Ref {
  return { name, namespace };
}
