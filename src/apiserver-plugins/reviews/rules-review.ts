/** SelfSubjectRulesReview: everything I may do in a namespace, for `kubectl auth can-i --list`. */
import type { NonResourceRule, ResourceRule, SelfSubjectRulesReview } from "../../api/authorization/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { PolicyRule } from "../../api/rbac/v1.ts";
import { badRequestError } from "../../apimachinery/status-error.ts";
import type { UserInfo } from "../../apiserver/authentication.ts";
import type { VirtualResource } from "../../apiserver/virtual-resource.ts";
import { review } from "./access-reviews.ts";

/** `rulesOf` yields every rule that holds for the user there, those for the whole cluster included. */
export function selfSubjectRulesReview(
  rulesOf: (user: UserInfo, namespace: string) => Iterable<DeepReadonly<PolicyRule>>,
): VirtualResource {
  return {
    definition: review("SelfSubjectRulesReview", "selfsubjectrulesreviews", "Cluster"),
    async create(object, { context }) {
      const asked = object as unknown as SelfSubjectRulesReview;
      const { namespace } = asked.spec;
      if (!namespace) throw badRequestError("no namespace on request");
      const resourceRules: ResourceRule[] = [];
      const nonResourceRules: NonResourceRule[] = [];
      for (const { verbs, apiGroups, resources, resourceNames, nonResourceURLs } of rulesOf(context.user, namespace)) {
        if (resources?.length) {
          resourceRules.push({
            verbs: [...verbs],
            apiGroups: [...(apiGroups ?? [])],
            resources: [...resources],
            ...(resourceNames?.length ? { resourceNames: [...resourceNames] } : {}),
          });
        }
        if (nonResourceURLs?.length)
          nonResourceRules.push({ verbs: [...verbs], nonResourceURLs: [...nonResourceURLs] });
      }
      return { ...asked, status: { resourceRules, nonResourceRules, incomplete: false } };
    },
  };
}
