/** The API server of one cluster: its kinds, its plugins, its bootstrap objects, and the subresources that other parts stand behind. */

import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Secret } from "../api/core/v1.ts";
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import { Secrets, ServiceCIDRs, Services } from "../api/resources.ts";
import type { GroupVersion } from "../apimachinery/group-version.ts";
import type { ResourceDefinition } from "../apimachinery/resource-definition.ts";
import { isNotFound } from "../apimachinery/status-error.ts";
import type { UserInfo } from "../apiserver/authentication.ts";
import { StartUpChecks } from "../apiserver/health.ts";
import type { ListenOptions } from "../apiserver/http/listener.ts";
import { ApiServer } from "../apiserver/server.ts";
import type { SubresourceHandler } from "../apiserver/subresource-handler.ts";
import { admissionPlugins } from "../apiserver-plugins/admission/catalog.ts";
import { startAggregator } from "../apiserver-plugins/aggregation/aggregator.ts";
import { registerDefinitions } from "../apiserver-plugins/aggregation/definition-registration.ts";
import { createServiceAllocators, restoreAllocations } from "../apiserver-plugins/allocation/service-allocators.ts";
import { followServiceRanges, openRanges } from "../apiserver-plugins/allocation/service-ranges.ts";
import { claimsOfAll, followServices, serviceClaims } from "../apiserver-plugins/allocation/shared-allocations.ts";
import { policyAuditor } from "../apiserver-plugins/audit/policy-auditor.ts";
import { RotatedLog } from "../apiserver-plugins/audit/rotated-log.ts";
import { WebhookLog } from "../apiserver-plugins/audit/webhook-log.ts";
import { bootstrapTokenAuthenticator } from "../apiserver-plugins/authentication/bootstrap-token-authenticator.ts";
import { clientCertificateAuthenticator } from "../apiserver-plugins/authentication/client-certificate.ts";
import { openIdDiscovery } from "../apiserver-plugins/authentication/openid-discovery.ts";
import { requestHeaderAuthenticator } from "../apiserver-plugins/authentication/request-header.ts";
import {
  lastUsedLabel,
  serviceAccountAuthenticator,
} from "../apiserver-plugins/authentication/service-account-authenticator.ts";
import {
  createTokenAuthority,
  type TokenAuthority,
  type TokenKeys,
} from "../apiserver-plugins/authentication/service-account-tokens.ts";
import { staticTokenAuthenticator } from "../apiserver-plugins/authentication/static-tokens.ts";
import { alwaysAllowPathsAuthorizer } from "../apiserver-plugins/authorization/always-allow-paths.ts";
import { mastersAuthorizer } from "../apiserver-plugins/authorization/masters.ts";
import { NodeAuthorizer } from "../apiserver-plugins/authorization/node-authorizer.ts";
import { NodeGraph } from "../apiserver-plugins/authorization/node-graph.ts";
import { policyParametersCheck } from "../apiserver-plugins/authorization/policy-parameters.ts";
import { RbacAuthorizer, RbacIndex } from "../apiserver-plugins/authorization/rbac.ts";
import { escalationCheck } from "../apiserver-plugins/authorization/rbac-escalation.ts";
import { followRoles } from "../apiserver-plugins/authorization/rbac-source.ts";
import type { BootstrapObject } from "../apiserver-plugins/bootstrap/bootstrap-object.ts";
import { bootstrapObjects } from "../apiserver-plugins/bootstrap/catalog.ts";
import { defaultFlowControl } from "../apiserver-plugins/bootstrap/flow-control.ts";
import { tokenTracking } from "../apiserver-plugins/bootstrap/token-tracking.ts";
import { CustomResources } from "../apiserver-plugins/custom-resources/custom-resources.ts";
import { followFlowControl } from "../apiserver-plugins/flow-control/flow-control-source.ts";
import { flowDumps } from "../apiserver-plugins/flow-control/flow-dumps.ts";
import { keepDefaults } from "../apiserver-plugins/flow-control/keep-defaults.ts";
import { PriorityAndFairness } from "../apiserver-plugins/flow-control/priority-and-fairness.ts";
import { RegistryReader } from "../apiserver-plugins/object-reader.ts";
import { accessReviews } from "../apiserver-plugins/reviews/access-reviews.ts";
import { selfSubjectReview, tokenReview } from "../apiserver-plugins/reviews/identity-reviews.ts";
import { selfSubjectRulesReview } from "../apiserver-plugins/reviews/rules-review.ts";
import { podProxy, serviceProxy } from "../apiserver-plugins/subresources/endpoint-proxy.ts";
import { namespaceFinalize } from "../apiserver-plugins/subresources/namespace-finalize.ts";
import { podBinding } from "../apiserver-plugins/subresources/pod-binding.ts";
import { podEviction } from "../apiserver-plugins/subresources/pod-eviction.ts";
import { serviceAccountToken } from "../apiserver-plugins/subresources/service-account-token.ts";
import { bindings } from "../apiserver-plugins/virtual/bindings.ts";
import { componentStatuses } from "../apiserver-plugins/virtual/component-statuses.ts";
import { type ReadUsage, resourceMetrics } from "../apiserver-plugins/virtual/metrics.ts";
import { clusterIpRouter, type Dial, endpointRouter } from "../apiserver-plugins/webhooks/service-route.ts";
import { WebhookCaller } from "../apiserver-plugins/webhooks/webhook-caller.ts";
import type { Logger } from "../base/logger.ts";
import type { Client } from "../client/client.ts";
import { InformerCache } from "../controller-runtime/informer-cache.ts";
import { definitionsWith } from "../resources/catalog.ts";
import { serviceAllocation } from "../resources/core/service-allocation.ts";
import { isFeatureOn } from "../resources/feature-switches.ts";
import type { Store } from "../storage/store.ts";
import { configuredAuthentication, configuredAuthorization, webhookOf } from "./access-control.ts";
import type { ClusterPki } from "./certificates.ts";
import type { ClusterPlan } from "./config/cluster-config.ts";
import type { ConfigurationFile } from "./configuration-file.ts";
import { ensureObject } from "./ensure-object.ts";
import type { PkiKeeper } from "./pki-keeper.ts";
import type { Surroundings } from "./surroundings.ts";
import { followTrust, isSameTrust, type Trust, tlsOf, trustObjects } from "./trust.ts";

export interface ControlPlane {
  server: ApiServer;
  /** The in-process client of a component, under the user upstream gives it. */
  clientOf(component: string): Client;
  /** Who a component is to servers that requests are passed on to. */
  userOf(component: string): UserInfo;
  /** Opens an HTTPS door, with the certificates of now and of later. */
  listen(where: Pick<ListenOptions, "host" | "port" | "fd">): Promise<AddressInfo>;
  /** Signs ServiceAccounts' tokens. */
  tokens: TokenAuthority;
  close(): Promise<void>;
}

export interface ControlPlaneOptions extends Surroundings {
  plan: ClusterPlan;
  keeper: PkiKeeper;
  store: Store;
  /** Those that are followed already. */
  configurationFiles: readonly ConfigurationFile[];
  /** Where pods reach the API server. */
  apiAddress: { address: string; port: number };
  /** `pods/log`, `pods/exec` and the like: whoever runs the nodes answers them. */
  /** `dial` reaches addresses of the cluster's network. */
  nodeSubresources(dial: Dial): ReadonlyMap<string, SubresourceHandler>;
  /** What a node's pods use: the metrics API's source. Undefined: without nodes there is no metrics API. */
  readUsage: ReadUsage | undefined;
  /** Where the audit log is, unless the plan names another place. */
  auditFolder: string;
  /** Connects from where Services' addresses lead somewhere. Absent: this process goes to endpoints itself. */
  dialService: Dial | undefined;
}

/** Serves nothing yet: `server.listen` opens the doors. Resolves when the objects every cluster has are there. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { plan, keeper, store, clock, random, log } = options;
  const allocators = createServiceAllocators({
    serviceCidrs: serviceRangesOf(plan),
    nodePortRange: { first: plan.network.nodePortRange[0], last: plan.network.nodePortRange[1] },
    random,
  });
  const issuer = `https://kubernetes.default.svc.${plan.network.dnsDomain}`;
  const tokens = createTokenAuthority({ ...tokenKeysOf(keeper.current), issuer, clock, random });
  keeper.follow((pki) => tokens.replaceKeys(tokenKeysOf(pki)));
  const { authentication = {} } = plan.apiServer;
  const trust = await followTrust(keeper, authentication.requestHeader);
  const roles = new RbacIndex();
  let reader: RegistryReader | undefined;
  const readers = () => reader!;
  const router = options.dialService ? clusterIpRouter(readers, options.dialService) : endpointRouter(readers, random);
  let informerCache: InformerCache | undefined;
  const informers = (): InformerCache => {
    const client = server.client(componentUser("kube-apiserver"), "kube-apiserver");
    informerCache ??= new InformerCache({ client, clock, log, signal: options.signal });
    return informerCache;
  };
  const flowControl = new PriorityAndFairness({
    clock,
    defer: setImmediate,
    stockOf: ({ group, version, resource }) => {
      const served = server.registry.find(group, version, resource);
      return served && !served.virtual
        ? { objects: served.cache.size, averageBytes: served.cache.averageBytes }
        : undefined;
    },
  });
  const webhooks = new WebhookCaller({ router, clock });
  const auditLogs = await openAuditLogs(options, webhooks);
  const startUp = new StartUpChecks(startUpHooks);
  const accessTools = { caller: webhooks, clock, log, signal: options.signal };
  const configured = await configuredAuthentication(authentication, [issuer], accessTools);
  const ownAuthorizers = {
    Node: new NodeAuthorizer(new NodeGraph(() => informers())),
    RBAC: new RbacAuthorizer(roles),
  };
  const authorization = await configuredAuthorization(plan.apiServer, ownAuthorizers, accessTools, (authorizers) =>
    server.pipeline.replaceAuthorizers([...firstAuthorizers, ...authorizers]),
  );
  const configurationFiles = [...options.configurationFiles, ...configured.files, ...authorization.files];
  const server: ApiServer = new ApiServer({
    auditor: plan.apiServer.audit && policyAuditor({ policy: plan.apiServer.audit.policy, logs: auditLogs, clock }),
    definitions: definitionsWith(plan).map((definition) => withAllocation(definition, allocators)),
    store,
    clock,
    random,
    log: log.with({ component: "apiserver" }),
    authenticators: [
      requestHeaderAuthenticator(trust.requestHeader),
      clientCertificateAuthenticator(trust.clients),
      ...(authentication.tokens ? [staticTokenAuthenticator(authentication.tokens)] : []),
      serviceAccountAuthenticator({
        authority: tokens,
        audiences: [issuer],
        objects: () => reader!,
        clock,
        noteUse: (secret, day) => noteTokenUse(control.clientOf("kube-apiserver"), secret, day, log),
      }),
      bootstrapTokenAuthenticator(readers, clock),
      ...configured.authenticators,
    ],
    flowControl,
    healthChecks: startUp.checks,
    allowsAnonymous: configured.allowsAnonymous,
    constrainsImpersonation: isFeatureOn(plan, "ConstrainedImpersonation"),
    authorizers: [...firstAuthorizers, ...authorization.authorizers],
    furtherMetrics: () => configurationFiles.flatMap((file) => file.metrics()),
    admission: (access) => {
      reader = new RegistryReader(access.registry);
      const { registry } = access;
      const authorizers = () => access.pipeline.authorizers;
      const rulesOf = (user: UserInfo, namespace: string) =>
        [...roles.rulesFor(user, namespace)].map(({ rule }) => rule);
      return [
        ...admissionPlugins({
          objects: reader,
          random,
          quotaClient: () => server.client(componentUser("kube-apiserver"), "kube-apiserver"),
          extension: { registry, authorizers, webhooks },
          selection: plan.apiServer.admission ?? {},
          clock,
          webhookOf,
        }),
        escalationCheck({ rulesOf, authorizers, objects: reader }),
        policyParametersCheck({ authorizers, objects: reader, registry }),
      ];
    },
    virtualResources: (access) => [
      bindings(access),
      // The parts of one process fare as it does; the store answers for itself.
      componentStatuses({
        scheduler: () => "ok",
        "controller-manager": () => "ok",
        "etcd-0": async () => {
          await store.get("/registry/health");
          return "ok";
        },
      }),
      ...(options.readUsage ? resourceMetrics({ objects: readers, readUsage: options.readUsage }) : []),
      selfSubjectReview(clock),
      tokenReview(() => access.pipeline.authenticators, [issuer]),
      ...accessReviews(() => access.pipeline.authorizers),
      selfSubjectRulesReview((user, namespace) => [...roles.rulesFor(user, namespace)].map(({ rule }) => rule)),
    ],
    paths: new Map([...openIdDiscovery(tokens), ...flowDumps(() => flowControl.levels())]),
    subresources: new Map<string, SubresourceHandler>([
      ["namespaces/finalize", namespaceFinalize],
      ["pods/binding", podBinding],
      ["pods/proxy", podProxy(router.dial)],
      ["services/proxy", serviceProxy({ objects: readers, random, dial: router.dial })],
      ["pods/eviction", podEviction],
      ["serviceaccounts/token", serviceAccountToken(tokens, [issuer])],
      ...options.nodeSubresources(router.dial),
    ]),
  });
  openRanges(allocators, await reader!.list(ServiceCIDRs, ""));
  const stored = await reader!.list(Services, "");
  for (const { namespace, name, problem } of restoreAllocations(allocators, stored)) {
    log.warn("a Service holds what it cannot have", { namespace, name, problem });
  }
  if (store.isShared) {
    await Promise.all(claimsOfAll(stored).map((key) => store.write({ kind: "put", key, value: claimed, expected: 0 })));
    const services = informers().informer(Services);
    services.addHandler(followServices(allocators, () => services.list()));
  }
  startUp.pass("poststarthook/start-service-ip-repair-controllers");
  const control: Omit<ControlPlane, "listen"> = {
    server,
    tokens,
    clientOf: (component) => server.client(componentUser(component), component),
    userOf: componentUser,
    async close() {
      await server.close();
      await Promise.all(auditLogs.map((log) => log.close()));
      webhooks.close();
    },
  };
  followServiceRanges(allocators, serviceRangesOf(plan), informers(), async (address) => {
    const services = await reader!.list(Services, "");
    return services.some(({ spec }) => spec.clusterIPs?.includes(address));
  });
  followFlowControl({ flowControl, cache: informers(), client: control.clientOf("kube-apiserver"), clock, log });
  const following = followRoles(roles, informers());
  const customResources = new CustomResources({
    registry: server.registry,
    client: control.clientOf("kube-apiserver"),
    webhooks,
    random,
    clock,
    log,
    signal: options.signal,
  });
  const serving = customResources.start();
  await writeBootstrapObjects(control.clientOf("kube-apiserver"), options, trust, server.registry.groupVersions());
  startUp.pass(...bootstrapHooks);
  keepDefaults({
    defaults: defaultFlowControl,
    cache: informers(),
    client: control.clientOf("kube-apiserver"),
    log,
    signal: options.signal,
  });
  await Promise.all([following, serving]);
  startUp.pass(...extensionHooks);
  startAggregator({
    registry: server.registry,
    cache: informers(),
    client: control.clientOf("kube-aggregator"),
    router,
    frontProxy: () => keeper.current.frontProxy?.client,
    clock,
    log: log.with({ component: "kube-aggregator" }),
    signal: options.signal,
  });
  registerDefinitions({
    cache: informers(),
    client: control.clientOf("kube-aggregator"),
    clock,
    log: log.with({ component: "kube-aggregator" }),
    signal: options.signal,
  });
  void informers()
    .synced()
    .then(() => startUp.pass(...informerHooks, ...aggregatorHooks));
  keeper.follow((pki, before) => {
    server.renewCertificates(
      tlsOf(pki, trust),
      (certificate) => trust.clients.vouchFor(certificate) || trust.proxies.vouchFor(certificate),
    );
    if (!isSameTrust(pki, before))
      void ensureAll(control.clientOf("kube-apiserver"), trustObjects(pki, trust)).catch((error) =>
        log.error("telling aggregated servers whom to trust failed", { error }),
      );
  });
  return { ...control, listen: (where) => server.listen({ ...tlsOf(keeper.current, trust), ...where }) };
}

function tokenKeysOf({ serviceAccountKeyPem, formerServiceAccountKeys = [] }: ClusterPki): TokenKeys {
  return { privateKeyPem: serviceAccountKeyPem, formerKeys: formerServiceAccountKeys };
}

/** Once a day for each Secret; the request does not wait for it. */
function noteTokenUse(client: Client, { metadata }: DeepReadonly<Secret>, day: string, log: Logger): void {
  const { name, namespace } = metadata;
  const body = { metadata: { labels: { [lastUsedLabel]: day } } };
  void client.patch(Secrets, { name, namespace }, { type: "merge", body }).catch((error) => {
    if (!isNotFound(error)) log.warn("noting the use of a token Secret failed", { name, namespace, error });
  });
}

const firstAuthorizers = [alwaysAllowPathsAuthorizer, mastersAuthorizer];

const claimed = Buffer.from("claimed");

/** Done when the objects every cluster has are there. */
const bootstrapHooks = [
  "poststarthook/start-system-namespaces-controller",
  "poststarthook/start-cluster-authentication-info-controller",
  "poststarthook/rbac/bootstrap-roles",
  "poststarthook/scheduling/bootstrap-system-priority-classes",
  "poststarthook/priority-and-fairness-config-producer",
  "poststarthook/bootstrap-controller",
  "poststarthook/start-kubernetes-service-cidr-controller",
];
/** Done when the server knows what it admits, classifies and counts by. */
const informerHooks = [
  "informer-sync",
  "poststarthook/start-apiserver-admission-initializer",
  "poststarthook/generic-apiserver-start-informers",
  "poststarthook/priority-and-fairness-config-consumer",
  "poststarthook/priority-and-fairness-filter",
  "poststarthook/storage-object-count-tracker-hook",
];
/** Done when what CustomResourceDefinitions define is served. */
const extensionHooks = [
  "poststarthook/start-apiextensions-informers",
  "poststarthook/start-apiextensions-controllers",
  "poststarthook/crd-informer-synced",
];
/** Done when the APIServices there are have been looked at. */
const aggregatorHooks = [
  "poststarthook/start-kube-aggregator-informers",
  "poststarthook/apiservice-status-local-available-controller",
  "poststarthook/apiservice-status-remote-available-controller",
  "poststarthook/apiservice-registration-controller",
  "poststarthook/apiservice-discovery-controller",
  "poststarthook/kube-apiserver-autoregistration",
  "autoregister-completion",
  "poststarthook/apiservice-openapi-controller",
  "poststarthook/apiservice-openapiv3-controller",
];
/** In the order of upstream's report; those of its hooks that have a counterpart here. */
const startUpHooks = [
  ...informerHooks,
  ...extensionHooks,
  "poststarthook/start-service-ip-repair-controllers",
  ...bootstrapHooks,
  ...aggregatorHooks,
];

async function openAuditLogs(
  { plan, auditFolder, clock, log }: ControlPlaneOptions,
  caller: WebhookCaller,
): Promise<(RotatedLog | WebhookLog)[]> {
  const { audit } = plan.apiServer;
  if (!audit) return [];
  const file = new RotatedLog({
    path: audit.path ?? join(auditFolder, "audit.log"),
    maximumSize: (audit.maxSizeMegabytes ?? 100) * 1024 * 1024,
    maximumBackups: audit.maxBackups ?? 5,
    clock,
    log,
  });
  if (!audit.webhook) return [file];
  return [file, new WebhookLog({ target: await webhookOf(audit.webhook.kubeconfig), caller, clock, log })];
}

function withAllocation(
  definition: ResourceDefinition,
  allocators: ReturnType<typeof createServiceAllocators>,
): ResourceDefinition {
  if (definition.group !== "" || definition.plural !== "services") return definition;
  // The one definition of Services: its type parameter was given up in the catalog.
  return {
    ...definition,
    beginWrite: serviceAllocation(allocators) as unknown as NonNullable<ResourceDefinition["beginWrite"]>,
    claims: serviceClaims as unknown as NonNullable<ResourceDefinition["claims"]>,
  };
}

/** One a family, the default family's first. */
function serviceRangesOf({ network }: ClusterPlan): string[] {
  return [network.serviceCIDR, ...(network.ipv6 ? [network.ipv6.serviceCIDR] : [])];
}

/** All parts of one process trust one another; each still acts under its own name, which is what managedFields and logs show. */
function componentUser(component: string): UserInfo {
  return { name: `system:${component}`, groups: ["system:masters", "system:authenticated"] };
}

async function writeBootstrapObjects(
  client: Client,
  { plan, apiAddress, keeper, clock }: ControlPlaneOptions,
  trust: Trust,
  served: readonly GroupVersion[],
): Promise<void> {
  const hasTrustBundles = isFeatureOn(plan, "ClusterTrustBundle");
  const objects = [
    ...bootstrapObjects({ serviceCidrs: serviceRangesOf(plan), ...apiAddress, hasTrustBundles, served }),
    ...trustObjects(keeper.current, trust),
    tokenTracking(clock.now()),
  ];
  // Namespaces come first in the list, and what lies in them after; within a step order does not matter.
  const namespaces = objects.filter(({ resource }) => resource.plural === "namespaces");
  for (const step of [namespaces, objects.filter((object) => !namespaces.includes(object))]) {
    await ensureAll(client, step);
  }
}

async function ensureAll(client: Client, objects: readonly BootstrapObject[]): Promise<void> {
  await Promise.all(
    objects.map(({ resource, object, policy }) => ensureObject(client, resource, object as KubeObject, policy)),
  );
}
