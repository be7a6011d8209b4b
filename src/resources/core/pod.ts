/** Pods: the smallest thing that is scheduled. */
import type { Pod } from "../../api/core/v1.ts";
import { FieldPath } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { served } from "../served.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { podColumns } from "./pod-columns.ts";
import { qosClassOf } from "./pod-qos.ts";
import { resolveAppArmor } from "./pod-spec/annotations.ts";
import {
  defaultHostPorts,
  defaultPodSpec,
  defaultRequestsToLimits,
  mirrorServiceAccountName,
} from "./pod-spec/defaults.ts";
import { resolveLabelKeys } from "./pod-spec/scheduling.ts";
import { nameWarnings, podWarnings } from "./pod-spec/warnings.ts";
import { podSubresources } from "./pod-subresources.ts";
import { validatePod, validatePodStatus } from "./pod-validation.ts";

export const pods = defineResource<Pod>({
  ...served("v1", "pods"),
  metadataLooks: { update: ["change", "whole"] },
  subresources: podSubresources,
  returnsDeletedObject: true,
  defaults(pod) {
    pod.spec ??= { containers: [] };
    defaultPodSpec(pod.spec);
    // Templates keep theirs, with a warning.
    if (pod.spec.terminationGracePeriodSeconds! < 0) pod.spec.terminationGracePeriodSeconds = 1;
    pod.spec.enableServiceLinks ??= true;
    defaultHostPorts(pod.spec);
    defaultRequestsToLimits(pod.spec);
    mirrorAddresses(pod);
  },
  beforeCreate(pod, { warn }) {
    pod.metadata.generation = 1;
    resolveLabelKeys(pod.spec, pod.metadata.labels);
    for (const text of resolveAppArmor(pod.spec, pod.metadata.annotations)) warn(text);
    pod.status = { phase: "Pending", qosClass: qosClassOf(pod.spec) };
    if (pod.spec.schedulingGates?.length) {
      pod.status.conditions = [
        {
          type: "PodScheduled",
          status: "False",
          reason: "SchedulingGated",
          message: "Scheduling is blocked due to non-empty scheduling gates",
        },
      ];
    }
  },
  beforeUpdate(next, previous) {
    mirrorServiceAccountName(next.spec);
    if (!semanticallyEqual(next.spec, previous.spec))
      next.metadata.generation = (previous.metadata.generation ?? 0) + 1;
  },
  warnings: (pod, previous) => [
    ...(previous ? [] : nameWarnings(pod.metadata.name, "the Pod's hostname")),
    ...podWarnings(pod, FieldPath.root, false),
  ],
  validate: validatePod,
  validateStatus: validatePodStatus,
  beforeStatusUpdate(next, previous) {
    // The class follows from the spec; old kubelets sent owner references they did not understand.
    next.status.qosClass = previous.status?.qosClass;
    next.metadata.ownerReferences = previous.metadata.ownerReferences;
    mirrorAddresses(next);
  },
  gracePeriodSeconds(pod, requested) {
    const finished = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
    if (!pod.spec.nodeName || finished) return undefined;
    const seconds = requested ?? pod.spec.terminationGracePeriodSeconds ?? 0;
    if (seconds === 0) return undefined;
    return seconds < 0 ? 1 : seconds;
  },
  fieldSelectors: {
    "spec.nodeName": (pod) => pod.spec.nodeName ?? "",
    // The field's first name.
    "spec.host": (pod) => pod.spec.nodeName ?? "",
    "spec.restartPolicy": (pod) => pod.spec.restartPolicy ?? "",
    "spec.schedulerName": (pod) => pod.spec.schedulerName ?? "",
    "spec.serviceAccountName": (pod) => pod.spec.serviceAccountName ?? "",
    "spec.hostNetwork": (pod) => String(pod.spec.hostNetwork ?? false),
    "status.phase": (pod) => pod.status?.phase ?? "",
    "status.podIP": (pod) => pod.status?.podIP ?? "",
    "status.podIPs": (pod) => pod.status?.podIP ?? "",
    "status.nominatedNodeName": (pod) => pod.status?.nominatedNodeName ?? "",
  },
  columns: podColumns,
});

/** podIP and hostIP are the first of podIPs and hostIPs. */
function mirrorAddresses({ status }: Pod): void {
  if (!status) return;
  // Writers of old know only the one.
  if (status.podIP && status.podIP !== status.podIPs?.[0]?.ip) status.podIPs = [{ ip: status.podIP }];
  else if (status.podIPs?.length) status.podIP = status.podIPs[0]!.ip;
  if (status.hostIP && !status.hostIPs?.length) status.hostIPs = [{ ip: status.hostIP }];
}
