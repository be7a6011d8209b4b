/** The admission plugins of a cluster, in upstream's order, and which of them are on. */
import type { VolumeProjection } from "../../api/core/v1.ts";
import type { AdmissionPlugin } from "../../apiserver/admission.ts";
import type { Authorizer } from "../../apiserver/authorization.ts";
import type { ResourceRegistry } from "../../apiserver/resource-registry.ts";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { Client } from "../../client/client.ts";
import type { ObjectReader } from "../object-reader.ts";
import type { WebhookCaller, WebhookTarget } from "../webhooks/webhook-caller.ts";
import { alwaysAdmit, alwaysDeny } from "./always.ts";
import { alwaysPullImages } from "./always-pull-images.ts";
import {
  certificateApproval,
  certificateRequester,
  certificateSigning,
  certificateSubjectRestriction,
  clusterTrustBundleAttest,
} from "./certificates.ts";
import { defaultIngressClass, defaultStorageClass } from "./default-class.ts";
import { defaultTolerationSeconds } from "./default-toleration-seconds.ts";
import { denyServiceExternalIPs } from "./deny-service-external-ips.ts";
import { deviceAdminAccess } from "./device-admin-access.ts";
import { type EventLimit, type EventRateLimitConfiguration, eventRateLimit } from "./event-rate-limit.ts";
import { extendedResourceToleration } from "./extended-resource-toleration.ts";
import { type ImagePolicyConfiguration, imagePolicyWebhook } from "./image-policy-webhook.ts";
import { limitPodHardAntiAffinityTopology } from "./limit-pod-hard-anti-affinity-topology.ts";
import { limitRanger } from "./limit-ranger.ts";
import { namespaceAutoProvision, namespaceExists } from "./namespace-existence.ts";
import { namespaceLifecycle } from "./namespace-lifecycle.ts";
import { nodeRestriction } from "./node-restriction.ts";
import { ownerReferencesPermissionEnforcement } from "./owner-references-permission-enforcement.ts";
import { persistentVolumeClaimResize } from "./persistent-volume-claim-resize.ts";
import { podNodeSelector } from "./pod-node-selector.ts";
import {
  type PodSecurityConfiguration,
  podSecurity,
  podSecurityConfigurationErrors,
} from "./pod-security/pod-security.ts";
import { type PodTolerationConfiguration, podTolerationRestriction } from "./pod-toleration-restriction.ts";
import { podTopologyLabels } from "./pod-topology-labels.ts";
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
  /** Writes what quotas' room has been given away, and namespaces. Absent: quotas hold nobody back. */
  quotaClient?: () => Client;
  /** What webhooks and policies need. Absent: there are none. */
  extension?: { registry: ResourceRegistry; authorizers: () => readonly Authorizer[]; webhooks: WebhookCaller };
  /** For plugins that count in time. */
  clock?: Clock;
  /** A webhook that a kubeconfig file describes. */
  webhookOf?: (file: string) => Promise<WebhookTarget>;
  /** By upstream's names. Default: those that are on by default. */
  selection?: AdmissionSelection;
}

/** As kube-apiserver's `--enable-admission-plugins` and `--disable-admission-plugins`. */
export interface AdmissionSelection {
  enable?: readonly string[];
  disable?: readonly string[];
  /** As the plugins of `--admission-control-config-file`, with what they are told in place. */
  plugins?: readonly PluginConfiguration[];
}

export interface PluginConfiguration {
  name: keyof PluginConfigurations;
  configuration: object;
}

/** What each of them is told; `admissionSelectionErrors` has looked at it. */
interface PluginConfigurations {
  EventRateLimit: EventRateLimitConfiguration;
  ImagePolicyWebhook: { imagePolicy: ImagePolicyConfiguration };
  PodSecurity: PodSecurityConfiguration;
  PodTolerationRestriction: PodTolerationConfiguration;
}

/** Makes a plugin; undefined when what it needs is not there. */
type Maker = (options: AdmissionOptions) => AdmissionPlugin | undefined;

/** By upstream's name, in its order. `on`: unless it is disabled; `off`: only when it is enabled. */
const catalog: readonly [name: string, byDefault: "on" | "off", make: Maker][] = [
  ["AlwaysAdmit", "off", () => alwaysAdmit],
  [
    "NamespaceAutoProvision",
    "off",
    ({ objects, quotaClient }) => quotaClient && namespaceAutoProvision(objects, quotaClient),
  ],
  ["NamespaceLifecycle", "on", ({ objects }) => namespaceLifecycle(objects)],
  ["NamespaceExists", "off", ({ objects }) => namespaceExists(objects)],
  ["LimitPodHardAntiAffinityTopology", "off", () => limitPodHardAntiAffinityTopology],
  ["LimitRanger", "on", ({ objects }) => limitRanger(objects)],
  [
    "ServiceAccount",
    "on",
    ({ objects, random, furtherTokenVolumeSources: furtherSources = [] }) =>
      serviceAccountAdmission({ objects, random, furtherSources }),
  ],
  ["NodeRestriction", "on", ({ objects, extension }) => nodeRestriction(objects, extension?.authorizers)],
  ["TaintNodesByCondition", "on", () => taintNodesByCondition],
  ["AlwaysPullImages", "off", () => alwaysPullImages],
  [
    "PodSecurity",
    "on",
    ({ objects, selection }) => {
      const configuration = configurationOf(selection, "PodSecurity");
      return podSecurity({ objects, ...(configuration ? { configuration } : {}) });
    },
  ],
  [
    "PodTolerationRestriction",
    "off",
    ({ objects, selection }) =>
      podTolerationRestriction(objects, configurationOf(selection, "PodTolerationRestriction")),
  ],
  ["PodNodeSelector", "off", ({ objects }) => podNodeSelector(objects)],
  ["Priority", "on", ({ objects }) => priority(objects)],
  ["DefaultTolerationSeconds", "on", () => defaultTolerationSeconds],
  ["ExtendedResourceToleration", "off", () => extendedResourceToleration],
  ["DefaultStorageClass", "on", ({ objects }) => defaultStorageClass(objects)],
  ["StorageObjectInUseProtection", "on", () => storageObjectInUseProtection],
  [
    "OwnerReferencesPermissionEnforcement",
    "off",
    ({ extension }) => extension && ownerReferencesPermissionEnforcement(extension.registry, extension.authorizers),
  ],
  ["PersistentVolumeClaimResize", "on", ({ objects }) => persistentVolumeClaimResize(objects)],
  ["RuntimeClass", "on", ({ objects }) => runtimeClass(objects)],
  ["CertificateApproval", "on", ({ extension }) => extension && certificateApproval(extension.authorizers)],
  ["CertificateSigning", "on", ({ extension }) => extension && certificateSigning(extension.authorizers)],
  ["ClusterTrustBundleAttest", "on", ({ extension }) => extension && clusterTrustBundleAttest(extension.authorizers)],
  ["CertificateSubjectRestriction", "on", () => certificateSubjectRestriction],
  ["DefaultIngressClass", "on", ({ objects }) => defaultIngressClass(objects)],
  ["PodTopologyLabels", "on", ({ objects }) => podTopologyLabels(objects)],
  ["EventRateLimit", "off", makeEventRateLimit],
  ["ImagePolicyWebhook", "off", makeImagePolicy],
  ["DenyServiceExternalIPs", "off", () => denyServiceExternalIPs],
  ["MutatingAdmissionPolicy", "on", (options) => webhooked(options, mutatingAdmissionPolicy)],
  ["MutatingAdmissionWebhook", "on", (options) => webhooked(options, mutatingAdmissionWebhook)],
  ["ValidatingAdmissionPolicy", "on", (options) => webhooked(options, validatingAdmissionPolicy)],
  ["ValidatingAdmissionWebhook", "on", (options) => webhooked(options, validatingAdmissionWebhook)],
  // Last but one: what another plugin refuses takes no room.
  ["ResourceQuota", "on", ({ objects, quotaClient }) => quotaClient && resourceQuota(objects, quotaClient)],
  ["AlwaysDeny", "off", () => alwaysDeny],
];

function makeEventRateLimit({ selection, clock }: AdmissionOptions): AdmissionPlugin | undefined {
  const configuration = configurationOf(selection, "EventRateLimit");
  return configuration && clock && eventRateLimit(configuration, clock);
}

function makeImagePolicy({ selection, clock, webhookOf, extension }: AdmissionOptions): AdmissionPlugin | undefined {
  const configuration = configurationOf(selection, "ImagePolicyWebhook")?.imagePolicy;
  if (!configuration || !clock || !webhookOf || !extension) return undefined;
  const target = () => webhookOf(configuration.kubeConfigFile);
  return imagePolicyWebhook({ configuration, target, caller: extension.webhooks, clock });
}

function configurationOf<N extends keyof PluginConfigurations>(
  { plugins = [] }: AdmissionSelection = {},
  name: N,
): PluginConfigurations[N] | undefined {
  return plugins.find((plugin) => plugin.name === name)?.configuration as PluginConfigurations[N] | undefined;
}

/** Those that do nothing sensible without being told. */
const needTelling = ["EventRateLimit", "ImagePolicyWebhook"];

export function admissionPlugins(options: AdmissionOptions): AdmissionPlugin[] {
  const { enable = [], disable = [] } = options.selection ?? {};
  const isOn = (name: string, byDefault: "on" | "off") =>
    enable.includes(name) || (byDefault === "on" && !disable.includes(name));
  const chosen = catalog
    .filter(([name, byDefault]) => isOn(name, byDefault))
    .flatMap(([, , make]) => make(options) ?? []);
  // No plugins upstream, so nobody can switch them off.
  return [certificateRequester, deviceAdminAccess(options.objects), ...chosen];
}

function tellingErrors(selection: AdmissionSelection): string[] {
  const limits = configurationOf(selection, "EventRateLimit")?.limits;
  const image = configurationOf(selection, "ImagePolicyWebhook");
  const isLimit = ({ type, qps, burst }: Partial<EventLimit>) =>
    ["Server", "Namespace", "User", "SourceAndObject"].includes(type ?? "") && Number(qps) > 0 && Number(burst) > 0;
  return [
    ...(selection.plugins?.some(({ name }) => name === "EventRateLimit") &&
    !(Array.isArray(limits) && limits.length > 0 && limits.every(isLimit))
      ? [
          "EventRateLimit: limits must name a type (Server, Namespace, User, SourceAndObject), and a qps and a burst above 0",
        ]
      : []),
    ...(image && !image.imagePolicy?.kubeConfigFile
      ? ["ImagePolicyWebhook: imagePolicy.kubeConfigFile is required"]
      : []),
    ...podSecurityConfigurationErrors(configurationOf(selection, "PodSecurity") ?? {}).map(
      (text) => `PodSecurity: ${text}`,
    ),
  ];
}

/** Every mistake, in upstream's words. */
export function admissionSelectionErrors(selection: AdmissionSelection): string[] {
  const { enable = [], disable = [], plugins = [] } = selection;
  const known = new Set(catalog.map(([name]) => name));
  const unknown = (flag: string, names: readonly string[]) =>
    names.filter((name) => !known.has(name)).map((name) => `${flag} plugin ${JSON.stringify(name)} is unknown`);
  const both = enable.filter((name) => disable.includes(name));
  const untold = enable.filter((name) => needTelling.includes(name) && !plugins.some((plugin) => plugin.name === name));
  return [
    ...untold.map((name) => `${name} needs a configuration, in apiServer.admission.plugins`),
    ...tellingErrors(selection),
    ...unknown("enable-admission-plugins", enable),
    ...unknown("disable-admission-plugins", disable),
    ...(both.length > 0
      ? [`[${both.join(" ")}] in enable-admission-plugins and disable-admission-plugins overlapped`]
      : []),
  ];
}

type Extended = NonNullable<AdmissionOptions["extension"]> &
  Pick<AdmissionOptions, "objects" | "random"> & { caller: WebhookCaller };

function webhooked(
  { extension, objects, random }: AdmissionOptions,
  make: (options: Extended) => AdmissionPlugin,
): AdmissionPlugin | undefined {
  return extension && make({ ...extension, objects, random, caller: extension.webhooks });
}
