/** What a learner's cluster lacks for a step to be done. Pure: it looks at state; packets are sent by whoever calls it. */
import type { Deployment, ReplicaSet } from "../api/apps/v1.ts";
import type { ConfigMap } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { parseLabelSelector } from "../apimachinery/selectors.ts";
import { endpointsOf } from "../inspect/route.ts";
import { isReady, keyOf, type PodView, type ServiceView, type World } from "../inspect/world.ts";
import type { Language, ServiceCheck, StepChecks } from "./lab.ts";

/** The cluster, as far as labs look at it: what is in namespace default, and some of kube-system. */
export interface LabWorld extends World {
  deployments: readonly DeepReadonly<Deployment>[];
  replicaSets: readonly DeepReadonly<ReplicaSet>[];
  configMaps: readonly DeepReadonly<ConfigMap>[];
}

/** One sentence for each thing that is missing; none when the step's state is reached. */
export function missingFor(checks: StepChecks, world: LabWorld, language: Language): string[] {
  const say = (en: string, ko: string) => (language === "ko" ? ko : en);
  return [
    ...missingPods(checks, world, say),
    ...[checks.service ?? [], checks.services ?? []].flat().flatMap((wanted) => missingService(wanted, world, say)),
    ...missingDeployment(checks, world, say),
    ...missingRest(checks, world, say),
  ];
}

type Say = (en: string, ko: string) => string;

const inDefault = <T extends { metadata: { namespace?: string } }>(items: readonly T[]): T[] =>
  items.filter(({ metadata }) => metadata.namespace === "default");

function missingPods({ pods: wanted, statuses }: StepChecks, world: LabWorld, say: Say): string[] {
  const missing: string[] = [];
  const all = inDefault(world.pods);
  for (const [name, phase] of Object.entries(statuses ?? {})) {
    const found = all.find(({ metadata }) => metadata.name === name)?.status?.phase;
    if (found !== phase)
      missing.push(
        say(
          `pod ${name} should be ${phase}, and ${found ? `is ${found}` : "does not exist"}`,
          `파드 ${name}의 단계는 ${phase}여야 하는데 ${found ? `지금은 ${found}입니다` : "파드가 없습니다"}`,
        ),
      );
  }
  if (!wanted) return missing;
  const labels = parseLabelSelector(wanted.labels);
  const selected = all.filter(
    ({ metadata }) => labels.matches(metadata.labels) && metadata.deletionTimestamp === undefined,
  );
  const ready = selected.filter(isReady);
  const image = wanted.image;
  if (ready.length !== wanted.ready) {
    missing.push(
      say(
        `${wanted.ready} ready pods with label ${wanted.labels} are wanted, and there are ${ready.length}`,
        `레이블 ${wanted.labels}인 준비된 파드가 ${wanted.ready}개 있어야 하는데 ${ready.length}개입니다`,
      ),
      ...whyNotThosePods(selected, wanted, world, say),
    );
  }
  if (image !== undefined && selected.some(({ spec }) => spec.containers[0]?.image !== image))
    missing.push(say(`all of them should run ${image}`, `모든 파드의 이미지가 ${image}이어야 합니다`));
  if (wanted.replaced) {
    const owners = selected.flatMap(({ metadata }) => metadata.ownerReferences?.map(({ name }) => name) ?? []);
    const isReplaced = world.events.some(
      ({ reason, involvedObject: { name = "" } }) =>
        reason === "Killing" &&
        owners.some((owner) => name.startsWith(`${owner}-`)) &&
        !selected.some(({ metadata }) => metadata.name === name),
    );
    if (!isReplaced)
      missing.push(say("no pod has been deleted and replaced yet", "아직 지워지고 새로 만들어진 파드가 없습니다"));
  }
  return missing;
}

/** What a learner has instead: pods that are not ready, of other labels, or somewhere else. */
function whyNotThosePods(
  selected: readonly PodView[],
  { labels, ready }: NonNullable<StepChecks["pods"]>,
  world: LabWorld,
  say: Say,
): string[] {
  const unready = selected.find((pod) => !isReady(pod))?.metadata.name;
  if (unready !== undefined)
    return [
      say(
        `pod ${unready} is not ready: "pinnace why pod/${unready}" says why`,
        `파드 ${unready}이(가) 준비되지 않았습니다: 까닭은 "pinnace why pod/${unready}"`,
      ),
    ];
  if (selected.length >= ready) return [];
  const selector = parseLabelSelector(labels);
  const elsewhere = world.pods.find(
    ({ metadata }) => metadata.namespace !== "default" && selector.matches(metadata.labels),
  )?.metadata.namespace;
  if (elsewhere !== undefined)
    return [
      say(
        `such pods are in namespace ${elsewhere}: the lab is done in namespace default`,
        `그런 파드가 네임스페이스 ${elsewhere}에 있습니다: 이 실습은 네임스페이스 default에서 합니다`,
      ),
    ];
  const other = inDefault(world.pods).find(({ metadata }) => !selector.matches(metadata.labels));
  if (selected.length > 0 || !other) return [];
  const found = showLabels(other.metadata.labels);
  return [
    say(
      `pod ${other.metadata.name} has ${found ? `the labels ${found}` : "no labels"}`,
      `파드 ${other.metadata.name}의 레이블은 ${found || "없습니다"}${found ? "입니다" : ""}`,
    ),
  ];
}

const showLabels = (labels: Readonly<Record<string, string>> | undefined): string =>
  Object.entries(labels ?? {})
    .filter(([key]) => key !== "pod-template-hash")
    .map(([key, value]) => `${key}=${value}`)
    .join(",");

/** Where a Service of that name is, or which other one there is in its place. */
function noService(name: string, world: LabWorld, say: Say): string {
  const elsewhere = world.services.find(({ metadata }) => metadata.name === name)?.metadata.namespace;
  if (elsewhere !== undefined)
    return say(
      `there is no Service ${name} in namespace default; there is one in namespace ${elsewhere}`,
      `네임스페이스 default에 서비스 ${name}이(가) 없습니다. 네임스페이스 ${elsewhere}에는 있습니다`,
    );
  const others = inDefault(world.services).flatMap(({ metadata }) =>
    metadata.name === "kubernetes" ? [] : [metadata.name],
  );
  const instead =
    others.length > 0 ? say(`; there is ${others.join(", ")}`, `. ${others.join(", ")}은(는) 있습니다`) : "";
  return say(`there is no Service ${name}`, `서비스 ${name}이(가) 없습니다`) + instead;
}

function missingService(wanted: ServiceCheck, world: LabWorld, say: Say): string[] {
  const service = inDefault(world.services).find(({ metadata }) => metadata.name === wanted.name);
  if (!service) return [noService(wanted.name, world, say)];
  const { spec, status } = service;
  const missing: string[] = [];
  const compare = (what: string, expected: unknown, found: unknown) => {
    if (expected !== undefined && expected !== found)
      missing.push(
        say(
          `Service ${wanted.name}: ${what} should be ${expected}, and is ${found ?? "not set"}`,
          `서비스 ${wanted.name}: ${what}은(는) ${expected}이어야 하는데 ${found ?? "비어 있습니다"}`,
        ),
      );
  };
  compare("type", wanted.type, spec.clusterIP === "None" ? "headless" : spec.type);
  compare("nodePort", wanted.nodePort, spec.ports?.[0]?.nodePort);
  compare("sessionAffinity", wanted.affinity, spec.sessionAffinity);
  compare("externalName", wanted.externalName, spec.externalName);
  compare("EXTERNAL-IP", wanted.address, status?.loadBalancer?.ingress?.[0]?.ip ?? "pending");
  if (wanted.endpoints !== undefined) {
    const endpoints = endpointsOf(world, service, spec.ports?.[0]).filter((endpoint) => endpoint.isReady).length;
    compare(say("number of ready endpoints", "준비된 엔드포인트 수"), wanted.endpoints, endpoints);
    if (endpoints !== wanted.endpoints) missing.push(...whyNotThoseEndpoints(service, world, say));
  }
  return missing;
}

/** The selector against the pods' labels. */
function whyNotThoseEndpoints({ spec }: ServiceView, world: LabWorld, say: Say): string[] {
  const wanted = Object.entries(spec.selector ?? {});
  const shown = showLabels(spec.selector);
  const pods = inDefault(world.pods);
  if (wanted.length === 0) return [say("its selector is missing", "셀렉터가 없습니다")];
  if (pods.some(({ metadata }) => wanted.every(([key, value]) => metadata.labels?.[key] === value))) return [];
  const labels = showLabels(pods.find(({ metadata }) => metadata.labels !== undefined)?.metadata.labels);
  return [
    say(
      `its selector ${shown} selects no pod${labels ? `; there are pods with ${labels}` : ""}`,
      `셀렉터 ${shown}에 맞는 파드가 없습니다${labels ? `. 파드의 레이블은 ${labels}입니다` : ""}`,
    ),
  ];
}

function missingDeployment({ deployment: wanted, replicaSets }: StepChecks, world: LabWorld, say: Say): string[] {
  const missing: string[] = [];
  if (replicaSets) {
    const labels = parseLabelSelector(replicaSets.labels);
    const found = inDefault(world.replicaSets).filter(({ metadata }) => labels.matches(metadata.labels)).length;
    if (found < replicaSets.count)
      missing.push(
        say(
          `${replicaSets.count} ReplicaSets with label ${replicaSets.labels} are wanted, and there are ${found}`,
          `레이블 ${replicaSets.labels}인 ReplicaSet이 ${replicaSets.count}개 있어야 하는데 ${found}개입니다`,
        ),
      );
  }
  if (!wanted) return missing;
  const deployment = inDefault(world.deployments).find(({ metadata }) => metadata.name === wanted.name);
  if (!deployment) {
    const others = inDefault(world.deployments).map(({ metadata }) => metadata.name);
    const instead =
      others.length > 0 ? say(`; there is ${others.join(", ")}`, `. ${others.join(", ")}은(는) 있습니다`) : "";
    return [
      ...missing,
      say(`there is no Deployment ${wanted.name}`, `디플로이먼트 ${wanted.name}이(가) 없습니다`) + instead,
    ];
  }
  const facts: [string, string | undefined, string | undefined][] = [
    ["image", wanted.image, deployment.spec.template.spec?.containers[0]?.image],
    ["strategy", wanted.strategy, deployment.spec.strategy?.type],
    ["revision", wanted.revision, deployment.metadata.annotations?.["deployment.kubernetes.io/revision"]],
  ];
  for (const [what, expected, found] of facts) {
    if (expected !== undefined && expected !== found)
      missing.push(
        say(
          `Deployment ${wanted.name}: ${what} should be ${expected}, and is ${found}`,
          `디플로이먼트 ${wanted.name}: ${what}은(는) ${expected}이어야 하는데 ${found}입니다`,
        ),
      );
  }
  return missing;
}

function missingRest({ pool, configMap, gone = [] }: StepChecks, world: LabWorld, say: Say): string[] {
  const missing: string[] = [];
  if (pool !== undefined && !world.pools.includes(pool))
    missing.push(say(`there is no IPAddressPool ${pool}`, `IPAddressPool ${pool}이(가) 없습니다`));
  if (configMap) {
    const found = world.configMaps.find((object) => keyOf(object) === `${configMap.namespace}/${configMap.name}`);
    if (!Object.values(found?.data ?? {}).some((text) => text.includes(configMap.contains)))
      missing.push(
        say(
          `ConfigMap ${configMap.name} does not say "${configMap.contains}"`,
          `컨피그맵 ${configMap.name}에 "${configMap.contains}"이(가) 없습니다`,
        ),
      );
  }
  const kinds: Record<
    string,
    readonly { metadata: { name?: string; namespace?: string; deletionTimestamp?: string } }[]
  > = {
    service: world.services,
    pod: world.pods,
    deployment: world.deployments,
    replicaset: world.replicaSets,
  };
  for (const name of gone) {
    const [kind = "", object] = name.split("/");
    const isThere = inDefault(kinds[kind] ?? []).some(
      ({ metadata }) => metadata.name === object && metadata.deletionTimestamp === undefined,
    );
    if (isThere) missing.push(say(`${name} is still there`, `${name}이(가) 아직 있습니다`));
  }
  return missing;
}
