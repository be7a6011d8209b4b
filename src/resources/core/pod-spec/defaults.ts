/** What a pod spec, in a Pod or in a template, gets when its writer left it out. */
import type { Container, EphemeralContainer, LifecycleHandler, PodSpec, Probe } from "../../../api/core/v1.ts";
import { Quantity } from "../../../apimachinery/quantity.ts";
import { canonicalizeResourceList } from "../resource-list.ts";
import { defaultVolume } from "./volume-defaults.ts";

export function defaultPodSpec(podSpec: PodSpec): void {
  podSpec.containers ??= [];
  dropDisabledFields(podSpec);
  podSpec.restartPolicy ||= "Always";
  podSpec.terminationGracePeriodSeconds ??= 30;
  podSpec.dnsPolicy ||= "ClusterFirst";
  podSpec.securityContext ??= {};
  podSpec.schedulerName ||= "default-scheduler";
  mirrorServiceAccountName(podSpec);
  for (const volume of podSpec.volumes ?? []) defaultVolume(volume);
  for (const container of podSpec.initContainers ?? []) defaultContainer(container);
  for (const container of podSpec.containers) defaultContainer(container);
  for (const container of podSpec.ephemeralContainers ?? []) defaultContainer(container);
  canonicalizeResourceList(podSpec.overhead);
  if (podSpec.resources) defaultResources(podSpec.resources);
}

/** Fields of features that are off unless someone turns them on upstream: they are forgotten, not refused. */
function dropDisabledFields(podSpec: PodSpec): void {
  delete podSpec.schedulingGroup;
  for (const container of [...(podSpec.initContainers ?? []), ...podSpec.containers]) {
    if (container.lifecycle) delete container.lifecycle.stopSignal;
  }
  for (const { projected } of podSpec.volumes ?? []) {
    for (const source of projected?.sources ?? []) {
      delete source.podCertificate;
    }
  }
}

/** `serviceAccount` is the field's first name and is always served beside `serviceAccountName`. */
export function mirrorServiceAccountName(podSpec: PodSpec): void {
  if (podSpec.serviceAccountName) podSpec.serviceAccount = podSpec.serviceAccountName;
  else if (podSpec.serviceAccount) podSpec.serviceAccountName = podSpec.serviceAccount;
}

/** On the host's network a container port is a host port. Only Pods get this, not templates. */
export function defaultHostPorts(podSpec: PodSpec): void {
  if (!podSpec.hostNetwork) return;
  for (const container of [...(podSpec.initContainers ?? []), ...podSpec.containers]) {
    for (const port of container.ports ?? []) port.hostPort ||= port.containerPort;
  }
}

/** Where a limit is given without a request, the request equals the limit. Only Pods get this, not templates. */
export function defaultRequestsToLimits(podSpec: PodSpec): void {
  for (const { resources } of [...(podSpec.initContainers ?? []), ...podSpec.containers]) {
    if (!resources?.limits) continue;
    for (const [name, amount] of Object.entries(resources.limits)) {
      resources.requests ??= {};
      resources.requests[name] ??= amount;
    }
  }
  defaultPodRequests(podSpec);
}

/** A pod with limits of its own asks for what its containers ask for together, and where they ask for nothing, for its limits. */
function defaultPodRequests({ resources, initContainers = [], containers }: PodSpec): void {
  if (!resources?.limits) return;
  const amountsOf = (container: Container, name: string) =>
    Quantity.parse(container.resources?.requests?.[name] ?? "0");
  const isSidecar = ({ restartPolicy }: Container) => restartPolicy === "Always";
  const names = [...containers, ...initContainers].flatMap((each) => Object.keys(each.resources?.requests ?? {}));
  for (const name of new Set(names)) {
    if (!isPodLevelResource(name) || resources.requests?.[name] !== undefined) continue;
    let sidecars = Quantity.zero;
    let peak = Quantity.zero;
    for (const each of initContainers) {
      const amount = sidecars.add(amountsOf(each, name));
      if (isSidecar(each)) sidecars = amount;
      if (amount.compare(peak) > 0) peak = amount;
    }
    const steady = containers.reduce((sum, each) => sum.add(amountsOf(each, name)), sidecars);
    resources.requests ??= {};
    resources.requests[name] = (steady.compare(peak) > 0 ? steady : peak).toString();
  }
  for (const [name, limit] of Object.entries(resources.limits)) {
    resources.requests ??= {};
    resources.requests[name] ??= limit;
  }
}

function isPodLevelResource(name: string): boolean {
  return name === "cpu" || name === "memory" || name.startsWith("hugepages-");
}

/** `Always` for images whose tag may move: none, or `latest`. */
export function defaultPullPolicy(image: string): string {
  const afterDigest = image.split("@");
  if (afterDigest.length > 1) return "IfNotPresent";
  const lastPart = image.slice(image.lastIndexOf("/") + 1);
  const colon = lastPart.indexOf(":");
  const tag = colon < 0 ? "" : lastPart.slice(colon + 1);
  return tag === "" || tag === "latest" ? "Always" : "IfNotPresent";
}

function defaultContainer(container: Container | EphemeralContainer): void {
  container.imagePullPolicy ||= defaultPullPolicy(container.image ?? "");
  container.terminationMessagePath ||= "/dev/termination-log";
  container.terminationMessagePolicy ||= "File";
  container.resources ??= {};
  defaultResources(container.resources);
  for (const port of container.ports ?? []) port.protocol ||= "TCP";
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.fieldRef) valueFrom.fieldRef.apiVersion ||= "v1";
    if (valueFrom?.resourceFieldRef) valueFrom.resourceFieldRef.divisor ??= "0";
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
    if (probe) defaultProbe(probe);
  }
  if (container.lifecycle?.postStart) defaultHandler(container.lifecycle.postStart);
  if (container.lifecycle?.preStop) defaultHandler(container.lifecycle.preStop);
}

function defaultResources(resources: NonNullable<Container["resources"]>): void {
  canonicalizeResourceList(resources.limits);
  canonicalizeResourceList(resources.requests);
}

function defaultProbe(probe: Probe): void {
  defaultHandler(probe);
  if (probe.grpc) probe.grpc.service ??= "";
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
}

function defaultHandler({ httpGet }: LifecycleHandler | Probe): void {
  if (!httpGet) return;
  httpGet.path ||= "/";
  httpGet.scheme ||= "HTTP";
}
