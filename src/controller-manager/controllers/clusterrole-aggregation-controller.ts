/** Fills ClusterRoles that are put together from others, by label. */
import type { DeepReadonly } from "../../api/object.ts";
import type { ClusterRole, PolicyRule } from "../../api/rbac/v1.ts";
import { ClusterRoles } from "../../api/resources.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { keyOf } from "../../controller-runtime/cache.ts";
import { selectorOf } from "../../controller-runtime/compiled-selector.ts";
import { defineController, wake } from "../../controller-runtime/controller.ts";

export const clusterRoleAggregationController = defineController<ClusterRole>({
  name: "clusterrole-aggregation-controller",
  reconciles: ClusterRoles,
  wakesOn: [
    wake<ClusterRole>({
      resource: ClusterRoles,
      *keys(role, cache) {
        for (const candidate of cache.list(ClusterRoles)) if (isPartOf(role, candidate)) yield keyOf(candidate);
      },
    }),
  ],
  writes: [ClusterRoles],
  async reconcile({ key, cache, api }) {
    const role = cache.get(ClusterRoles, key);
    if (!role?.aggregationRule || role.metadata.deletionTimestamp) return;
    const rules = aggregatedRules(role, cache.list(ClusterRoles));
    if (semanticEqual(rules, role.rules)) return;
    await api.update(ClusterRoles, { ...role, rules });
  },
});

function isPartOf(part: DeepReadonly<ClusterRole>, whole: DeepReadonly<ClusterRole>): boolean {
  if (part.metadata.name === whole.metadata.name) return false;
  const selectors = whole.aggregationRule?.clusterRoleSelectors ?? [];
  return selectors.some((selector) => selectorOf(selector).matches(part.metadata.labels));
}

/** The parts' rules, in the order of the parts' names, each once. */
export function aggregatedRules(
  role: DeepReadonly<ClusterRole>,
  all: readonly DeepReadonly<ClusterRole>[],
): readonly DeepReadonly<PolicyRule>[] {
  const rules: DeepReadonly<PolicyRule>[] = [];
  const parts = all.filter((part) => isPartOf(part, role)).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  for (const rule of parts.flatMap((part) => part.rules ?? [])) {
    if (!rules.some((present) => semanticEqual(present, rule))) rules.push(rule);
  }
  return rules;
}
