/** Fills Secrets of the type `kubernetes.io/service-account-token`, and deletes them with their ServiceAccount. */
import type { Secret, ServiceAccount } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Secrets, ServiceAccounts } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { refOf } from "../../client/client.ts";
import { keyOf, objectKey } from "../../controller-runtime/cache.ts";
import { type ControllerDefinition, defineController, index, wake } from "../../controller-runtime/controller.ts";

export const tokenSecretType = "kubernetes.io/service-account-token";
const accountNameAnnotation = "kubernetes.io/service-account.name";
const accountUidAnnotation = "kubernetes.io/service-account.uid";
const byAccount = "serviceAccount";

/** A token for the account that is good for as long as the account and the Secret exist. */
export type IssueAccountToken = (account: Subject, secret: { name: string; uid: string }) => string;

interface Subject {
  namespace: string;
  name: string;
  uid: string;
}

/** `rootCa` gives the PEM bundle that goes along. */
export function serviceAccountTokenController(issue: IssueAccountToken, rootCa: () => string): ControllerDefinition {
  return defineController<Secret>({
    name: "serviceaccount-token-controller",
    reconciles: Secrets,
    when: ({ type, object }) => type !== "DELETED" && object.type === tokenSecretType,
    wakesOn: [
      wake<ServiceAccount>({
        resource: ServiceAccounts,
        when: ({ type }) => type !== "MODIFIED",
        *keys(account, cache) {
          for (const secret of cache.byIndex(Secrets, byAccount, keyOf(account))) yield keyOf(secret);
        },
      }),
    ],
    indexes: [index<Secret>({ resource: Secrets, name: byAccount, values: accountKeyOf })],
    writes: [Secrets],
    async reconcile({ key, cache, api }) {
      const secret = cache.get(Secrets, key);
      if (secret?.type !== tokenSecretType || secret.metadata.deletionTimestamp) return;
      const { name, namespace, uid, resourceVersion, annotations } = secret.metadata;
      const accountName = annotations?.[accountNameAnnotation];
      if (!accountName) return;
      const account = await api
        .get(ServiceAccounts, { name: accountName, namespace })
        .catch((error: unknown) => (isNotFound(error) ? undefined : Promise.reject(error)));
      const wantedUid = annotations[accountUidAnnotation];
      try {
        if (!account || (wantedUid && wantedUid !== account.metadata.uid)) {
          await api.delete(Secrets, refOf(secret), { preconditions: { uid, resourceVersion } });
          return;
        }
        const subject = { namespace, name: accountName, uid: account.metadata.uid };
        const data = missingData(secret, rootCa(), () => issue(subject, { name, uid }));
        if (Object.keys(data).length === 0 && wantedUid) return;
        const metadata = { uid, resourceVersion, annotations: { [accountUidAnnotation]: subject.uid } };
        await api.patch(Secrets, refOf(secret), { type: "merge", body: { metadata, data } });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  });
}

function accountKeyOf({ type, metadata }: DeepReadonly<Secret>): string | undefined {
  const name = metadata.annotations?.[accountNameAnnotation];
  return type === tokenSecretType && name ? objectKey(name, metadata.namespace) : undefined;
}

/** What the Secret lacks, in base64; a token that is there stays. */
export function missingData(
  { data = {}, metadata: { namespace } }: DeepReadonly<Secret>,
  rootCa: string,
  newToken: () => string,
): Record<string, string> {
  const missing: Record<string, string> = {};
  const encode = (text: string) => Buffer.from(text).toString("base64");
  if (data["ca.crt"] !== encode(rootCa)) missing["ca.crt"] = encode(rootCa);
  if (data["namespace"] !== encode(namespace)) missing["namespace"] = encode(namespace);
  if (!data["token"]) missing["token"] = encode(newToken());
  return missing;
}
