/** How many watch what: by resource, namespace and name, as upstream counts them. */
import { parseFieldSelector } from "../../apimachinery/selectors.ts";
import type { Attributes } from "../../apiserver/authorization.ts";

export class WatchTracker {
  readonly #counts = new Map<string, number>();

  /** Returns what to call when the watch is over. */
  begin(attributes: Attributes): () => void {
    if (isOfOneNode(attributes)) return () => {};
    const { group, resource, namespace, name } = attributes;
    const key = keyOf(group, resource, namespace, name);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const left = this.#counts.get(key)! - 1;
      if (left === 0) this.#counts.delete(key);
      else this.#counts.set(key, left);
    };
  }

  /** How many may want to hear of what a request changes. */
  interested({ group, resource, namespace, name }: Attributes): number {
    const { size } = this.#counts;
    if (size === 0) return 0;
    let count = this.#counts.get(keyOf(group, resource, "", "")) ?? 0;
    if (namespace) count += this.#counts.get(keyOf(group, resource, namespace, "")) ?? 0;
    if (name) count += this.#counts.get(keyOf(group, resource, namespace, name)) ?? 0;
    return count;
  }
}

const keyOf = (group: string, resource: string, namespace: string, name: string) =>
  `${group}/${resource}/${namespace}/${name}`;

/** A kubelet's watch of its own Pods: of all those only one hears of a change. */
function isOfOneNode({ group, resource, fieldSelector }: Attributes): boolean {
  if (group !== "" || resource !== "pods" || !fieldSelector) return false;
  try {
    return parseFieldSelector(fieldSelector).some(
      ({ field, operator, value }) => field === "spec.nodeName" && operator === "=" && value !== "",
    );
  } catch {
    return false;
  }
}
