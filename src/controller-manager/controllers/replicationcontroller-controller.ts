/** Keeps as many Pods alive as each ReplicationController asks for: the work of ReplicaSets under an older name. */
import type { ReplicationController } from "../../api/core/v1.ts";
import { Pods, ReplicationControllers } from "../../api/resources.ts";
import { matchesMap } from "../../controller-runtime/compiled-selector.ts";
import { defineController, statusOf } from "../../controller-runtime/controller.ts";
import { owned } from "../../controller-runtime/wakes.ts";
import { adoptable, orphansOf } from "../ownership.ts";
import { reconcileReplicas } from "./replicaset-controller.ts";

/** An empty selector is none: the server fills it in from the template. */
function selectorOfMap(selector: Readonly<Record<string, string>> | undefined) {
  const isEmpty = !selector || Object.keys(selector).length === 0;
  return {
    matches: (labels: Readonly<Record<string, string>> | undefined) => !isEmpty && matchesMap(selector, labels),
  };
}

export const replicationControllerController = defineController<ReplicationController>({
  name: "replicationcontroller-controller",
  eventSource: "replication-controller",
  reconciles: ReplicationControllers,
  wakesOn: [
    owned(Pods),
    adoptable(Pods, ReplicationControllers, (controller) => selectorOfMap(controller.spec?.selector)),
  ],
  indexes: [orphansOf(Pods)],
  writes: [Pods, statusOf(ReplicationControllers)],
  async reconcile(context) {
    const controller = context.cache.get(ReplicationControllers, context.key);
    if (!controller) return;
    const { spec, status } = controller;
    return await reconcileReplicas(context, {
      owner: controller,
      owners: ReplicationControllers,
      selector: selectorOfMap(spec?.selector),
      replicas: spec?.replicas ?? 1,
      minReadySeconds: spec?.minReadySeconds ?? 0,
      template: spec?.template,
      status,
      related: (pods) => pods,
      async writeStatus(status) {
        await context.api.updateStatus(ReplicationControllers, { ...controller, status });
      },
    });
  },
});
