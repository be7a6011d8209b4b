/** Finds devices for the claims of one Pod on one Node (upstream: dynamic-resource-allocation/structured). Pure but for the dice of share ids. */

import type { NodeSelector, NodeSelectorRequirement } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type {
  AllocationResult,
  DeviceAllocationConfiguration,
  DeviceRequestAllocationResult,
  DeviceSubRequest,
  ExactDeviceRequest,
} from "../../api/resource/v1.ts";
import { stringifyExactly } from "../../apimachinery/serializer/big-integers.ts";
import { keyOf } from "../../controller-runtime/cache.ts";
import type { NodeIdentity } from "../../controller-runtime/node-matching.ts";
import { toleratesDeviceTaint } from "../../controller-runtime/pod-resource-claims.ts";
import { AllocationError } from "./allocation-error.ts";
import { type Amounts, consumedCapacity } from "./capacity.ts";
import { type Constraint, constraintOf } from "./constraints.ts";
import { Counters } from "./counters.ts";
import { matchesSelectors } from "./device-selectors.ts";
import {
  type Candidate,
  type DeviceId,
  type NodePool,
  type PublishedPool,
  placeOf,
  poolsOn,
  type ReadClaim,
  type ReadClass,
} from "./pools.ts";

/** What other claims have. */
export interface TakenDevices {
  /** Given to one claim alone. */
  has(id: DeviceId): boolean;
  /** Of a device that several share: what is taken of its capacities. */
  capacity(id: DeviceId): Amounts | undefined;
}

export interface AllocationInputs {
  /** Without an allocation yet. */
  claims: readonly ReadClaim[];
  pools: readonly PublishedPool[];
  taken: TakenDevices;
  classOf(name: string): ReadClass | undefined;
  /** Names one share of a device that several use. */
  shareId(): string;
}

export type Allocation =
  /** One result per claim, in their order. */
  | { kind: "allocated"; results: readonly AllocationResult[] }
  /** Not on this Node; `reason` when more is known than that there are no such devices. */
  | { kind: "impossible"; reason?: string };

/** A claim holds so many devices. */
const maximumDevices = 32;
/** A search is given up after it took so many devices: the number of combinations has no bound. */
const maximumTries = 20_000;

/** Throws an AllocationError for claims that make no sense. */
export function allocate(inputs: AllocationInputs, node: NodeIdentity): Allocation {
  const pools = poolsOn(node, inputs.pools);
  const search = new Search(inputs, pools);
  const impossible = search.prepare();
  if (impossible) return impossible;
  if (!search.run()) {
    const reason = search.isGivenUp
      ? "timed out trying to allocate devices"
      : pools.some(({ pool }) => pool.fault)
        ? "invalid resource pools were encountered"
        : undefined;
    return { kind: "impossible", ...(reason ? { reason } : {}) };
  }
  return { kind: "allocated", results: search.results(node) };
}

type Wanted = DeepReadonly<Omit<DeviceSubRequest, "name"> & Pick<ExactDeviceRequest, "adminAccess">>;

/** One way to fulfil a request. */
interface Option {
  /** As results name it: `gpu`, or `gpu/large` for one of several. */
  name: string;
  request: string;
  subRequest: string | undefined;
  wanted: Wanted;
  deviceClass: ReadClass;
  count: number;
  /** Those that a request for all devices gets. */
  all: readonly Candidate[] | undefined;
}

interface Given {
  option: Option;
  candidate: Candidate;
  consumed: Amounts | undefined;
}

/** "tooMany": no device of the request in hand will do; fewer of them might. */
type Outcome = "done" | "no" | "tooMany";

class Search {
  readonly #inputs: AllocationInputs;
  readonly #pools: readonly NodePool[];
  readonly #candidates: readonly Candidate[];
  readonly #counters: Counters;
  /** By claim and request. */
  readonly #options: (readonly Option[])[][] = [];
  readonly #chosen: Option[][] = [];
  readonly #constraints: Constraint[][] = [];
  readonly #given: Given[][] = [];
  /** Which claims get a device in this search. */
  readonly #inUse = new Map<DeviceId, Set<number>>();
  readonly #shares = new Map<DeviceId, Amounts[]>();
  readonly #fits = new Map<Option, Map<DeviceId, boolean>>();
  #tries = 0;

  constructor(inputs: AllocationInputs, pools: readonly NodePool[]) {
    this.#inputs = inputs;
    this.#pools = pools;
    this.#candidates = pools.flatMap(({ pool, candidates }) => (pool.isIncomplete || pool.fault ? [] : candidates));
    this.#counters = new Counters((id) => inputs.taken.has(id) || inputs.taken.capacity(id) !== undefined);
  }

  get isGivenUp(): boolean {
    return this.#tries > maximumTries;
  }

  /** Reads the claims. Undefined: they may be tried. */
  prepare(): Extract<Allocation, { kind: "impossible" }> | undefined {
    for (const claim of this.#inputs.claims) {
      const options: (readonly Option[])[] = [];
      let least = 0;
      for (const { name, exactly, firstAvailable = [] } of claim.spec.devices?.requests ?? []) {
        const ways: Option[] = [];
        for (const [subRequest, wanted] of exactly
          ? ([[undefined, exactly]] as const)
          : firstAvailable.map((one) => [one.name, one] as const)) {
          const option = this.#option(claim, name, subRequest, wanted);
          if ("kind" in option) return option;
          ways.push(option);
        }
        if (ways.length === 0)
          throw new AllocationError(`claim ${keyOf(claim)}, request ${name}: unsupported request type`);
        options.push(ways);
        least += Math.min(...ways.map(({ count }) => count));
      }
      if (least > maximumDevices) {
        throw new AllocationError(
          `claim ${keyOf(claim)}: number of requested devices ${least} exceeds the claim limit of ${maximumDevices}`,
        );
      }
      this.#options.push(options);
      this.#chosen.push([]);
      this.#given.push([]);
      this.#constraints.push(
        (claim.spec.devices?.constraints ?? []).map((definition, index) => {
          const constraint = constraintOf(definition);
          if (constraint) return constraint;
          throw new AllocationError(
            `claim ${keyOf(claim)}, constraint #${index}: empty constraint (unsupported constraint type?)`,
          );
        }),
      );
    }
    return undefined;
  }

  #option(
    claim: ReadClaim,
    request: string,
    subRequest: string | undefined,
    wanted: Wanted,
  ): Option | Extract<Allocation, { kind: "impossible" }> {
    const place = `claim ${keyOf(claim)}, request ${subRequest ?? request}`;
    const deviceClass = this.#inputs.classOf(wanted.deviceClassName);
    if (!deviceClass) throw new AllocationError(`${place}: could not retrieve device class ${wanted.deviceClassName}`);
    const name = subRequest === undefined ? request : `${request}/${subRequest}`;
    const option: Option = {
      name,
      request,
      subRequest,
      wanted,
      deviceClass,
      count: Number(wanted.count ?? 1),
      all: undefined,
    };
    if (wanted.allocationMode !== "All") return option;
    const all: Candidate[] = [];
    for (const { pool, candidates } of this.#pools) {
      const trouble = pool.isIncomplete ? "being updated" : pool.fault ? "invalid" : undefined;
      if (trouble) {
        const reason = `${place}: asks for all devices, but resource pool ${pool.driver}/${pool.name} is currently ${trouble}`;
        return { kind: "impossible", reason };
      }
      for (const candidate of candidates) if (this.#isSelected(claim, option, candidate)) all.push(candidate);
    }
    return { ...option, all, count: all.length };
  }

  run(): boolean {
    return this.#requests(0, 0) === "done";
  }

  /** Everything from one request of one claim on. */
  #requests(claimIndex: number, requestIndex: number): Outcome {
    const options = this.#options[claimIndex];
    if (!options) return "done";
    if (requestIndex >= options.length) {
      const outcome = this.#requests(claimIndex + 1, 0);
      return outcome === "tooMany" ? "no" : outcome;
    }
    let isTooMany = true;
    for (const option of options[requestIndex]!) {
      this.#chosen[claimIndex]![requestIndex] = option;
      const outcome = this.#devices(claimIndex, requestIndex, option, 0, 0);
      if (outcome === "done") return "done";
      if (outcome === "no") isTooMany = false;
      if (this.isGivenUp) return "no";
    }
    return isTooMany ? "tooMany" : "no";
  }

  /** The option's devices from number `index` on, looking from place `from`: their order does not matter. */
  #devices(claimIndex: number, requestIndex: number, option: Option, index: number, from: number): Outcome {
    if (option.all?.length === 0) return "no";
    if (index >= option.count) return this.#requests(claimIndex, requestIndex + 1);
    if (this.#given[claimIndex]!.length + option.count - index > maximumDevices) return "tooMany";
    const places = option.all ?? this.#candidates;
    // Of all devices none may be passed over.
    const end = option.all ? index + 1 : places.length;
    for (let at = option.all ? index : from; at < end; at++) {
      const candidate = places[at]!;
      const giveBack = this.#take(claimIndex, option, candidate);
      if (!giveBack) continue;
      if (++this.#tries > maximumTries) return "no";
      const outcome = this.#devices(claimIndex, requestIndex, option, index + 1, at + 1);
      if (outcome === "done") return "done";
      giveBack();
      if (outcome === "tooMany") return "tooMany";
    }
    return "no";
  }

  /** Undefined: the device cannot be had. */
  #take(claimIndex: number, option: Option, candidate: Candidate): (() => void) | undefined {
    const claim = this.#inputs.claims[claimIndex]!;
    const { id, device, driver, pool } = candidate;
    const { taken } = this.#inputs;
    const { wanted, request, subRequest } = option;
    const isShared = device.allowMultipleAllocations ?? false;
    const users = this.#inUse.get(id);
    // Administrators look at devices that others have, but not twice in a claim.
    if (wanted.adminAccess ? !isShared && users?.has(claimIndex) : taken.has(id) || (users?.size ?? 0) > 0) {
      return undefined;
    }
    if (!option.all && !this.#isSelected(claim, option, candidate)) return undefined;
    const shares = this.#shares.get(id) ?? [];
    const consumed = consumedCapacity(driver, device, wanted.capacity, isShared ? [taken.capacity(id), ...shares] : []);
    if (!consumed) return undefined;
    if (!isTolerated(candidate, wanted)) return undefined;
    const usesCounters =
      (device.consumesCounters?.length ?? 0) > 0 &&
      !(isShared && (taken.capacity(id) !== undefined || shares.length > 0));
    if (usesCounters && !this.#counters.take(pool, device)) return undefined;
    const constraints = this.#constraints[claimIndex]!;
    const broken = constraints.findIndex((constraint) => !constraint.add(request, subRequest, candidate));
    if (broken >= 0) {
      for (const constraint of constraints.slice(0, broken)) constraint.remove(request, subRequest);
      if (usesCounters) this.#counters.giveBack(pool, device);
      if (!option.all) return undefined;
      throw new AllocationError(
        `claim ${keyOf(claim)}, request ${subRequest ?? request}: cannot add device ${id} because a claim constraint would not be satisfied`,
      );
    }
    if (isShared) this.#shares.set(id, [...shares, consumed]);
    else this.#inUse.set(id, new Set([...(users ?? []), claimIndex]));
    this.#given[claimIndex]!.push({ option, candidate, consumed: isShared ? consumed : undefined });
    return () => {
      this.#given[claimIndex]!.pop();
      if (isShared) this.#shares.set(id, shares);
      else this.#inUse.set(id, users ?? new Set());
      for (const constraint of constraints) constraint.remove(request, subRequest);
      if (usesCounters) this.#counters.giveBack(pool, device);
    };
  }

  #isSelected(claim: ReadClaim, option: Option, candidate: Candidate): boolean {
    let known = this.#fits.get(option);
    if (!known) this.#fits.set(option, (known = new Map()));
    let fits = known.get(candidate.id);
    if (fits === undefined) {
      const { deviceClass, wanted } = option;
      fits =
        matchesSelectors(deviceClass.spec.selectors, candidate, `class ${deviceClass.metadata.name}`) &&
        matchesSelectors(wanted.selectors, candidate, `claim ${keyOf(claim)}`);
      known.set(candidate.id, fits);
    }
    return fits;
  }

  results(node: NodeIdentity): AllocationResult[] {
    return this.#given.map((given, claimIndex) => {
      const config = this.#configuration(claimIndex);
      const nodeSelector = nodeSelectorOf(given, node);
      return {
        devices: {
          results: given.map((one) => resultOf(one, this.#inputs.shareId)),
          ...(config.length > 0 ? { config } : {}),
        },
        ...(nodeSelector ? { nodeSelector } : {}),
      };
    });
  }

  /** What classes and the claim say to the drivers of the devices that were chosen. */
  #configuration(claimIndex: number): DeviceAllocationConfiguration[] {
    const claim = this.#inputs.claims[claimIndex]!;
    const chosen = this.#chosen[claimIndex]!;
    const config: DeviceAllocationConfiguration[] = [];
    for (const deviceClass of new Set(chosen.map((option) => option.deviceClass))) {
      const requests = chosen.filter((option) => option.deviceClass === deviceClass).map(({ name }) => name);
      for (const { opaque } of deviceClass.spec.config ?? []) {
        config.push({ source: "FromClass", requests, ...(opaque ? { opaque: structuredClone(opaque) } : {}) });
      }
    }
    for (const { requests = [], opaque } of claim.spec.devices?.config ?? []) {
      const concerned = ({ name, request }: Option) => requests.includes(request) || requests.includes(name);
      if (requests.length > 0 && !chosen.some(concerned)) continue;
      config.push({
        source: "FromClaim",
        requests: [...requests],
        ...(opaque ? { opaque: structuredClone(opaque) } : {}),
      });
    }
    // No requests named: all are meant.
    return config.map(({ requests = [], ...rest }) =>
      requests.length === 0 || requests.length === chosen.length ? rest : { ...rest, requests },
    );
  }
}

function isTolerated({ device }: Candidate, { tolerations = [] }: Wanted): boolean {
  return (device.taints ?? []).every(
    (taint) =>
      (taint.effect !== "NoSchedule" && taint.effect !== "NoExecute") ||
      tolerations.some((toleration) => toleratesDeviceTaint(toleration, taint)),
  );
}

function resultOf({ option, candidate, consumed }: Given, shareId: () => string): DeviceRequestAllocationResult {
  const { driver, device, pool } = candidate;
  const { adminAccess, tolerations } = option.wanted;
  return {
    request: option.name,
    driver,
    pool: pool.name,
    device: device.name,
    ...(adminAccess ? { adminAccess } : {}),
    ...(tolerations?.length ? { tolerations: structuredClone(tolerations) as never } : {}),
    ...(device.bindingConditions?.length ? { bindingConditions: [...device.bindingConditions] } : {}),
    ...(device.bindingFailureConditions?.length
      ? { bindingFailureConditions: [...device.bindingFailureConditions] }
      : {}),
    ...(consumed ? { shareID: shareId() } : {}),
    ...(consumed?.size
      ? { consumedCapacity: Object.fromEntries([...consumed].map(([name, amount]) => [name, amount.toString()])) }
      : {}),
  };
}

/** Where all of the devices can be used; undefined: everywhere. */
function nodeSelectorOf(given: readonly Given[], node: NodeIdentity): NodeSelector | undefined {
  const matchFields: NodeSelectorRequirement[] = [];
  const matchExpressions: NodeSelectorRequirement[] = [];
  const addNew = (
    to: NodeSelectorRequirement[],
    from: readonly DeepReadonly<NodeSelectorRequirement>[] | undefined,
  ): void => {
    for (const requirement of from ?? []) {
      const text = stringifyExactly(requirement);
      if (!to.some((known) => stringifyExactly(known) === text)) to.push(structuredClone(requirement) as never);
    }
  };
  for (const { candidate } of given) {
    const { nodeName, nodeSelector } = placeOf(candidate);
    if (nodeName || candidate.device.bindsToNode) {
      const only = { key: "metadata.name", operator: "In", values: [node.name] };
      return { nodeSelectorTerms: [{ matchFields: [only] }] };
    }
    const [term] = nodeSelector?.nodeSelectorTerms ?? [];
    addNew(matchFields, term?.matchFields);
    addNew(matchExpressions, term?.matchExpressions);
  }
  if (matchFields.length + matchExpressions.length === 0) return undefined;
  const term = {
    ...(matchExpressions.length > 0 ? { matchExpressions } : {}),
    ...(matchFields.length > 0 ? { matchFields } : {}),
  };
  return { nodeSelectorTerms: [term] };
}
