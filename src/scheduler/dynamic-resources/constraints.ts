/** What the devices of one claim must have in common, or must not. Pure, but for what it remembers of the devices chosen so far. */
import type { DeepReadonly } from "../../api/object.ts";
import type { DeviceConstraint } from "../../api/resource/v1.ts";
import type { Candidate } from "./pools.ts";

/** Devices can be taken out again in the reverse order. */
export interface Constraint {
  /** False: the device does not go with those chosen before, and is not remembered. */
  add(request: string, subRequest: string | undefined, candidate: Candidate): boolean;
  remove(request: string, subRequest: string | undefined): void;
}

/** Undefined for a constraint of a kind that is not known. */
export function constraintOf(definition: DeepReadonly<DeviceConstraint>): Constraint | undefined {
  const { requests = [], matchAttribute, distinctAttribute } = definition;
  const attribute = matchAttribute ?? distinctAttribute;
  if (attribute === undefined) return undefined;
  const concerns = (request: string, subRequest: string | undefined) =>
    requests.length === 0 ||
    requests.includes(request) ||
    (subRequest !== undefined && requests.includes(`${request}/${subRequest}`));
  const chosen: string[] = [];
  return {
    add(request, subRequest, candidate) {
      if (!concerns(request, subRequest)) return true;
      const value = attributeText(candidate, attribute);
      if (value === undefined) return false;
      const goes = matchAttribute !== undefined ? (chosen[0] ?? value) === value : !chosen.includes(value);
      if (goes) chosen.push(value);
      return goes;
    },
    remove(request, subRequest) {
      if (concerns(request, subRequest)) chosen.pop();
    },
  };
}

/** Type and value: the number 1 is not the text "1". Names without a domain are of the driver's. */
function attributeText({ driver, device }: Candidate, name: string): string | undefined {
  const attributes = device.attributes ?? {};
  const slash = name.indexOf("/");
  const short = name.slice(0, slash) === driver ? attributes[name.slice(slash + 1)] : undefined;
  const found = attributes[name] ?? short;
  if (!found) return undefined;
  const [entry] = Object.entries(found).filter(([, value]) => value !== undefined);
  return entry && !Array.isArray(entry[1]) ? `${entry[0]}:${entry[1]}` : undefined;
}
