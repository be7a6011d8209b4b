/** Says when a ServiceCIDR is ready, and keeps a deleted one for as long as Services hold addresses that only it provides. */
import type { IPAddress, ServiceCIDR } from "../../api/networking/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { IPAddresses, ServiceCIDRs } from "../../api/resources.ts";
import { rfc3339 } from "../../base/clock.ts";
import { cidrContains, parseCidr, parseIp } from "../../base/ip.ts";
import { refOf } from "../../client/client.ts";
import { keyOf } from "../../controller-runtime/cache.ts";
import { defineController, statusOf, wake } from "../../controller-runtime/controller.ts";
import { withoutFinalizer } from "../finalizers.ts";

const finalizer = "networking.k8s.io/service-cidr-finalizer";

export const serviceCidrController = defineController<ServiceCIDR>({
  name: "service-cidr-controller",
  reconciles: ServiceCIDRs,
  wakesOn: [
    wake<IPAddress>({
      resource: IPAddresses,
      when: ({ type }) => type === "DELETED",
      *keys(_address, cache) {
        for (const range of cache.list(ServiceCIDRs)) if (range.metadata.deletionTimestamp) yield keyOf(range);
      },
    }),
    wake<ServiceCIDR>({
      resource: ServiceCIDRs,
      when: ({ type }) => type === "ADDED",
      *keys(_range, cache) {
        for (const range of cache.list(ServiceCIDRs)) if (range.metadata.deletionTimestamp) yield keyOf(range);
      },
    }),
  ],
  writes: [ServiceCIDRs, statusOf(ServiceCIDRs)],
  async reconcile({ key, cache, api, clock, events }) {
    let range = cache.get(ServiceCIDRs, key);
    if (!range) return;
    const isLeaving = range.metadata.deletionTimestamp !== undefined;
    if (isLeaving && isFree(range, cache.list(ServiceCIDRs), cache.list(IPAddresses))) {
      await withoutFinalizer(api, ServiceCIDRs, range, finalizer);
      return;
    }
    if (!isLeaving && !range.metadata.finalizers?.includes(finalizer)) {
      const { uid, resourceVersion, finalizers = [] } = range.metadata;
      const body = { metadata: { uid, resourceVersion, finalizers: [...finalizers, finalizer] } };
      range = await api.patch(ServiceCIDRs, refOf(range), { type: "merge", body });
    }
    const wanted = isLeaving
      ? {
          status: "False" as const,
          reason: "Terminating",
          message:
            "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR",
        }
      : { status: "True" as const, reason: "", message: "Kubernetes Service CIDR is ready" };
    const ready = range.status?.conditions?.find(({ type }) => type === "Ready");
    if (ready?.status === wanted.status && ready.reason === wanted.reason) return;
    const others = range.status?.conditions?.filter(({ type }) => type !== "Ready") ?? [];
    const condition = { type: "Ready", ...wanted, lastTransitionTime: rfc3339(clock.now()) };
    await api.updateStatus(ServiceCIDRs, { ...range, status: { conditions: [...others, condition] } });
    if (isLeaving) events.event(range, "Warning", "KubernetesServiceCIDRError", wanted.message);
  },
});

/** Whether no address in use would be left without a range. */
export function isFree(
  range: DeepReadonly<ServiceCIDR>,
  all: readonly DeepReadonly<ServiceCIDR>[],
  addresses: readonly DeepReadonly<IPAddress>[],
): boolean {
  const staying = all.filter(
    ({ metadata }) => metadata.uid !== range.metadata.uid && metadata.deletionTimestamp === undefined,
  );
  return addresses.every(
    ({ metadata: { name } }) => !contains(range, name) || staying.some((other) => contains(other, name)),
  );
}

function contains({ spec }: DeepReadonly<ServiceCIDR>, address: string): boolean {
  const bytes = parseIp(address);
  return (
    bytes !== undefined &&
    (spec?.cidrs ?? []).some((text) => {
      const block = parseCidr(text);
      return block !== undefined && cidrContains(block, bytes);
    })
  );
}
