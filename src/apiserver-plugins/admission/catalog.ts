/** The admission plugins of a cluster, in upstream's order. */
import type { VolumeProjection } from "../../api/core/v1.ts";
import type { AdmissionPlugin } from "../../apiserver/admission.ts";
import type { Authorizer } from "../../apiserver/authorization.ts";
import type { ResourceRegistry } from "../../apiserver/resource-registry.ts";
import type { Random } from "../../base/random.ts";
import type { Client } from "../../client/client.ts";
import type { ObjectReader } from "../object-reader.ts";
import type { WebhookCaller } from "../webhooks/webhook-caller.ts";
import { certificateAdmission } from "./certificates.ts";
import { defaultIngressClass, defaultStorageClass } from "./default-class.ts";
import { defaultTolerationSeconds } from "./default-toleration-seconds.ts";
import { limitRanger } from "./limit-ranger.ts";
import { namespaceLifecycle } from "./namespace-lifecycle.ts";
import { nodeRestriction } from "./node-restriction.ts";
import { persistentVolumeClaimResize } from "./persistent-volume-claim-resize.ts";
import { podSecurity } from "./pod-security/pod-security.ts";
import { mutatingAdmissionPolicy } from "./policy/mutating-policies.ts";
import { validatingAdmissionPolicy } from "./policy/validating-policies.ts";
import { priority } from "./priority.ts";
import { resourceQuota } from "./resource-quota.ts";
import { runtimeClass } from "./runtime-class.ts";
import { serviceAccountAdmission } from "./service-account.ts";
import { storageObjectInUseProtection } from "./storage-object-in-use-protection.ts";
import { taintNodesByCondition } from "./taint-nodes-by-condition.ts";
import { mutatingAdmissionWebhook } from "./webhook/mutating-webhooks.ts";
import { validatingAdmissionWebhook } from "./webhook/validating-webhooks.ts";

export interface AdmissionOptions {
  objects: ObjectReader;
  random: Random;
  /** See ServiceAccountOptions. */
  furtherTokenVolumeSources?: readonly VolumeProjection[];
  /** Writes what quotas' room has been given away. Absent: quotas hold nobody back. */
  quotaClient?: () => Client;
  /** What webhooks and policies need. Absent: there are none. */
  extension?: { registry: ResourceRegistry; authorizers: () => readonly Authorizer[]; webhooks: WebhookCaller };
}

export function admissionPlugins(options: AdmissionOptions): AdmissionPlugin[] {
  const { objects, random, furtherTokenVolumeSources, quotaClient, extension } = options;
  const webhooks = extension && { ...extension, objects, random, caller: extension.webhooks };
  return [
    namespaceLifecycle(objects),
    limitRanger(objects),
    serviceAccountAdmission({ objects, random, furtherSources: furtherTokenVolumeSources ?? [] }),
    nodeRestriction(objects),
    taintNodesByCondition,
    podSecurity({ objects }),
    priority(objects),
    defaultTolerationSeconds,
    defaultStorageClass(objects),
    storageObjectInUseProtection,
    persistentVolumeClaimResize(objects),
    runtimeClass(objects),
    defaultIngressClass(objects),
    ...(extension ? certificateAdmission(extension.authorizers) : []),
    ...(webhooks
      ? [
          mutatingAdmissionPolicy(webhooks),
          mutatingAdmissionWebhook(webhooks),
          validatingAdmissionPolicy(webhooks),
          validatingAdmissionWebhook(webhooks),
        ]
      : []),
    // Last: what another plugin refuses takes no room.
    ...(quotaClient ? [resourceQuota(objects, quotaClient)] : []),
  ];
}
