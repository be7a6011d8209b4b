/** Label and field selectors of a query, compiled to what the watch cache selects by. */
import type { KubeObject } from "../api/object.ts";
import {
  type FieldRequirement,
  type LabelMatcher,
  parseFieldSelector,
  parseLabelSelector,
  SelectorError,
} from "../apimachinery/selectors.ts";
import { badRequestError } from "../apimachinery/status-error.ts";
import type { Selection } from "../storage/watch-cache-contract.ts";
import type { ServedResource } from "./resource-registry.ts";

export interface SelectedScope {
  selection: Selection<KubeObject> | undefined;
  /** Set when the field selector allows one name only. */
  onlyName: string | undefined;
  /** Set when objects must be prepared before the selection may be asked about them. */
  readsConverted: boolean;
}

const everythingSelected: SelectedScope = { selection: undefined, onlyName: undefined, readsConverted: false };

/** Throws a 400 in upstream's words. */
export function selectionOf(resource: ServedResource, labelText: string, fieldText: string): SelectedScope {
  if (labelText === "" && fieldText === "") return everythingSelected;
  let labels: LabelMatcher;
  let fields: FieldRequirement[];
  try {
    labels = parseLabelSelector(labelText);
    fields = fieldText === "" ? [] : parseFieldSelector(fieldText);
  } catch (error) {
    if (error instanceof SelectorError) throw badRequestError(error.message);
    throw error;
  }
  const tests: ((object: KubeObject) => boolean)[] = [];
  let index: Selection<KubeObject>["index"];
  let onlyName: string | undefined;
  let readsConverted = false;
  const anyLabels = labels.requirements?.length !== 0;
  if (anyLabels) tests.push((object) => labels.matches(object.metadata.labels));
  for (const { field, operator, value } of fields) {
    const read = fieldReader(resource, field);
    tests.push(operator === "=" ? (object) => read(object) === value : (object) => read(object) !== value);
    if (resource.needsPreparing && !everywhere.has(field)) readsConverted = true;
    if (operator !== "=") continue;
    if (field === "metadata.name") onlyName = value;
    else if (field === "spec.nodeName" && !resource.definition.storedAs) index = { name: field, value };
  }
  if (tests.length === 0) return everythingSelected;
  const fieldId = fields.map(({ field, operator, value }) => `${field}${operator}${JSON.stringify(value)}`).join(",");
  const version = resource.definition.storedAs ? resource.apiVersion : "";
  const matches = tests.length === 1 ? tests[0]! : (object: KubeObject) => tests.every((test) => test(object));
  return {
    selection: { id: `${version}|${labels.toString()}|${fieldId}`, matches, ...(index ? { index } : {}) },
    onlyName,
    readsConverted,
  };
}

/** Fields that are the same in every version. */
const everywhere = new Set(["metadata.name", "metadata.namespace"]);

function fieldReader(resource: ServedResource, field: string): (object: KubeObject) => string {
  if (field === "metadata.name") return (object) => object.metadata.name;
  if (field === "metadata.namespace") {
    return (object) => (object.metadata as { namespace?: string }).namespace ?? "";
  }
  const selectors = resource.definition.fieldSelectors;
  const read = selectors && Object.hasOwn(selectors, field) ? selectors[field] : undefined;
  if (!read) {
    throw badRequestError(
      selectors
        ? `field label not supported: ${field}`
        : `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`,
    );
  }
  return resource.definition.storedAs ? (object) => read(resource.fromStored(object)) : read;
}
