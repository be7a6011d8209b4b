/**
 * One API server: what it serves, who may use it, and the two doors to it. It starts nothing by itself: `listen` opens the HTTPS
 * door, `client` hands out the in-process one.
 */
import type { X509Certificate } from "node:crypto";
import type { AddressInfo } from "node:net";
import type { ResourceDefinition } from "../apimachinery/resource-definition.ts";
import type { Clock } from "../base/clock.ts";
import { exposition, type MetricFamily } from "../base/exposition.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import { processMetrics } from "../base/node/process-metrics.ts";
import type { Random } from "../base/random.ts";
import type { Client } from "../client/client.ts";
import type { EncodingBudget } from "../storage/encoding-budget.ts";
import type { Store } from "../storage/store.ts";
import type { AdmissionPlugin } from "./admission.ts";
import type { Auditor } from "./audit.ts";
import type { Authenticator, UserInfo } from "./authentication.ts";
import type { Authorizer } from "./authorization.ts";
import type { FlowControl } from "./flow-control.ts";
import type { HealthCheck } from "./health.ts";
import { HttpDoor } from "./http/door.ts";
import { Listener, type ListenerTls, type ListenOptions } from "./http/listener.ts";
import { type NonResourceHandler, NonResourceRoutes } from "./http/non-resource-routes.ts";
import { InProcessClient } from "./in-process-client.ts";
import { Pipeline } from "./pipeline.ts";
import { ResourceRegistry } from "./resource-registry.ts";
import { RoutedClient } from "./routed-client.ts";
import type { Services } from "./services.ts";
import type { SubresourceHandler } from "./subresource-handler.ts";
import { gitVersion, versionInfo } from "./version.ts";
import type { VirtualResource } from "./virtual-resource.ts";

export interface ApiServerOptions {
  definitions: readonly ResourceDefinition[];
  store: Store;
  clock: Clock;
  random: Random;
  log?: Logger;
  /** Asked in order; the first that knows the request's proof decides. */
  authenticators: readonly Authenticator[];
  /** Asked in order; the first with an opinion decides. */
  authorizers: readonly Authorizer[];
  /** Who waits when there is more to do than can be done at once. Default: nobody. */
  flowControl?: FlowControl | undefined;
  /** Whether a path may be asked for without any proof. Default: all may, and authorizers decide. */
  allowsAnonymous?: ((path: string) => boolean) | undefined;
  /** Whether users may be let act as others within bounds, beside the way without any. Default: yes. */
  constrainsImpersonation?: boolean | undefined;
  /** Default: nobody audits. */
  auditor?: Auditor | undefined;
  /** Run in order. A function is called once with what plugins may read the server by. */
  admission?: readonly AdmissionPlugin[] | ((server: ServerAccess) => readonly AdmissionPlugin[]);
  /** By `<plural>/<subresource>`, or `<plural>.<group>/<subresource>`. */
  subresources?: ReadonlyMap<string, SubresourceHandler>;
  /** Resources that nothing is stored of: reviews and the like. A function is called once with what they may ask. */
  virtualResources?: readonly VirtualResource[] | ((server: ServerAccess) => readonly VirtualResource[]);
  /** Exact paths outside the resource tree, such as `/openid/v1/jwks`. */
  paths?: ReadonlyMap<string, NonResourceHandler>;
  /** Beside `ping`, the store's own and `shutdown`. */
  healthChecks?: readonly HealthCheck[];
  /** Shared by all watch caches. */
  encodingBudget?: EncodingBudget;
  metrics?(): string | Promise<string>;
  /** Beside the server's own. */
  furtherMetrics?(): readonly MetricFamily[];
}

/** What plugins may look at: the objects as they stand, without a request. */
export interface ServerAccess {
  readonly registry: ResourceRegistry;
  readonly pipeline: Pipeline;
  readonly clock: Clock;
  readonly random: Random;
}

export class ApiServer implements ServerAccess {
  readonly registry: ResourceRegistry;
  readonly pipeline: Pipeline;
  readonly clock: Clock;
  readonly random: Random;
  readonly #door: HttpDoor;
  readonly #listeners: Listener[] = [];
  #address = "";
  #isClosing = false;

  constructor(options: ApiServerOptions) {
    this.clock = options.clock;
    this.random = options.random;
    this.registry = new ResourceRegistry({
      store: options.store,
      clock: options.clock,
      ...(options.encodingBudget ? { budget: options.encodingBudget } : {}),
    });
    this.registry.add(...options.definitions);
    const services: Services & { admission: readonly AdmissionPlugin[] } = {
      registry: this.registry,
      clock: options.clock,
      random: options.random,
      log: options.log ?? silentLogger,
      admission: [],
      subresources: options.subresources ?? new Map(),
    };
    this.pipeline = new Pipeline({
      services,
      authenticators: options.authenticators,
      authorizers: options.authorizers,
      auditor: options.auditor,
      allowsAnonymous: options.allowsAnonymous,
      constrainsImpersonation: options.constrainsImpersonation,
      flowControl: options.flowControl,
    });
    const { admission = [] } = options;
    services.admission = typeof admission === "function" ? admission(this) : admission;
    const { virtualResources = [] } = options;
    this.registry.addVirtual(...(typeof virtualResources === "function" ? virtualResources(this) : virtualResources));
    const storeAnswers = async () => void (await options.store.get("/registry/health"));
    const healthChecks: HealthCheck[] = [
      { name: "ping", check() {} },
      { name: "log", check() {} },
      { name: "etcd", check: storeAnswers },
      { name: "etcd-readiness", isOfReadiness: true, check: storeAnswers },
      ...(options.healthChecks ?? []),
      {
        name: "shutdown",
        isOfReadiness: true,
        check: () => {
          if (this.#isClosing) throw new Error("the server is being closed");
        },
      },
    ];
    this.#door = new HttpDoor(
      this.pipeline,
      new NonResourceRoutes({
        registry: this.registry,
        serverAddress: () => this.#address,
        healthChecks,
        metrics:
          options.metrics ??
          (() =>
            exposition([
              buildInfo,
              ...processMetrics(this.clock),
              ...this.#door.metrics(),
              this.#storedObjects(),
              ...(options.flowControl?.metrics() ?? []),
              ...(options.furtherMetrics?.() ?? []),
            ]) + (options.auditor?.metrics?.() ?? "")),
        extra: options.paths ?? new Map(),
        clock: options.clock,
      }),
    );
  }

  #storedObjects(): MetricFamily {
    const counts = new Map<string, number>();
    for (const { cache, virtual, groupResource } of this.registry.all()) {
      const name = groupResource.group ? `${groupResource.resource}.${groupResource.group}` : groupResource.resource;
      if (!virtual) counts.set(name, cache.size);
    }
    const samples = [...counts].map(([resource, value]) => ({ labels: { resource }, value }));
    return { name: "apiserver_storage_objects", help: "Objects kept, by resource.", type: "gauge", samples };
  }

  /** The in-process door, for one user. `fieldManager` names the component whose writes these are. */
  client(user: UserInfo, fieldManager: string): Client {
    const own = new InProcessClient({ pipeline: this.pipeline, user, fieldManager });
    return new RoutedClient(own, this.pipeline, user, fieldManager);
  }

  /** Opens another HTTPS listener. The first one's address is what /api tells. */
  async listen(options: ListenOptions): Promise<AddressInfo> {
    const listener = new Listener(options, this.#door, this.clock);
    this.#listeners.push(listener);
    const address = await listener.listen(options);
    this.#address ||= `${address.address}:${address.port}`;
    return address;
  }

  /** Gives all listeners other certificates and authorities, without closing them. See `Listener.renew`. */
  renewCertificates(tls: ListenerTls, isStillTrusted: (certificate: X509Certificate) => boolean): void {
    for (const listener of this.#listeners) listener.renew(tls, isStillTrusted);
  }

  /** Loads every resource's objects, so that the first requests find them in memory. */
  async warm(): Promise<void> {
    const stored = [...this.registry.all()].filter(({ virtual }) => !virtual);
    await Promise.all(stored.map(({ cache }) => cache.ready()));
  }

  /** Closes the doors and ends all watches. The store stays open. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.registry.close();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }
}

const buildInfo: MetricFamily = {
  name: "kubernetes_build_info",
  help: "The version that is served.",
  type: "gauge",
  samples: [{ labels: { major: versionInfo.major, minor: versionInfo.minor, git_version: gitVersion }, value: 1 }],
};
