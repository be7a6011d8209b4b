/** `pods/binding`: the scheduler's word on where a pod goes. Said once. */
import type { Binding, Pod } from "../../api/core/v1.ts";
import type { KubeObject } from "../../api/object.ts";
import { FieldPath, notSupported, required } from "../../apimachinery/field-error.ts";
import { badRequestError, conflictError, StatusError } from "../../apimachinery/status-error.ts";
import { writeOptionsOf } from "../../apiserver/request-options.ts";
import type { ObjectSubresource, SubresourceRequest } from "../../apiserver/subresource-handler.ts";
import { rfc3339 } from "../../base/clock.ts";
import { success } from "./standing-object.ts";

const bindings = { group: "", resource: "pods/binding" };

export const podBinding: ObjectSubresource = {
  kind: "object",
  async handle(request, body) {
    const binding = checked(request, body);
    const { objects, context, resource, namespace, name } = request;
    const now = objects.services.clock.now();
    await objects.update(context, {
      resource,
      namespace,
      name,
      subresource: "binding",
      dryRun: writeOptionsOf(request.query, "CreateOptions").dryRun,
      unconditional: true,
      admitted: true,
      admissionKind: { group: "", version: "v1", kind: "Binding" },
      transform(previous) {
        // update() has refused what does not exist; what stands under pods is a Pod.
        return bound(previous as unknown as Pod, binding, now) as KubeObject;
      },
    });
    return success(201);
  },
};

function checked(request: SubresourceRequest, body: KubeObject | undefined): Binding {
  // Decoded as the subresource's kind.
  const binding = body as unknown as Binding | undefined;
  if (!binding) throw badRequestError("a Binding is expected as the body");
  if (binding.metadata?.name !== request.name)
    throw badRequestError("name in URL does not match name in Binding object");
  const target = FieldPath.root.child("target");
  const errors = [];
  if (binding.target?.kind && binding.target.kind !== "Node") {
    errors.push(notSupported(target.child("kind"), binding.target.kind, ["Node", "<empty>"]));
  }
  if (!binding.target?.name) errors.push(required(target.child("name")));
  if (errors.length > 0) {
    // Upstream hands these out unwrapped.
    const texts = errors.map(({ field, message }) => `${field}: ${message}`);
    throw new StatusError(500, "", texts.length === 1 ? texts[0]! : `[${texts.join(", ")}]`);
  }
  return binding;
}

function bound(pod: Pod, binding: Binding, nowMs: number): Pod {
  const { name } = pod.metadata;
  checkPreconditions(pod, binding);
  if (pod.metadata.deletionTimestamp)
    throw conflictError(bindings, name, `pod ${name} is being deleted, cannot be assigned to a host`);
  if (pod.spec.nodeName)
    throw conflictError(bindings, name, `pod ${name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`);
  if (pod.spec.schedulingGates?.length)
    throw conflictError(bindings, name, `pod ${name} has non-empty .spec.schedulingGates`);
  const conditions = (pod.status.conditions ?? []).filter((condition) => condition.type !== "PodScheduled");
  const scheduled = {
    type: "PodScheduled",
    status: "True",
    lastProbeTime: null,
    lastTransitionTime: rfc3339(nowMs),
  };
  const annotations = { ...pod.metadata.annotations, ...binding.metadata.annotations };
  // What the pod says of itself stands.
  const labels = { ...binding.metadata.labels, ...pod.metadata.labels };
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      ...(Object.keys(labels).length > 0 ? { labels } : {}),
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    },
    spec: { ...pod.spec, nodeName: binding.target.name },
    status: { ...pod.status, conditions: [...conditions, scheduled] },
  } as Pod;
}

/** A binding may say which pod, and which state of it, it is for. Upstream's storage refuses others, in its own words. */
function checkPreconditions({ metadata }: Pod, { metadata: given }: Binding): void {
  const { name, namespace } = metadata;
  const wrong =
    given.uid && given.uid !== metadata.uid
      ? ["UID", given.uid, metadata.uid]
      : given.resourceVersion && given.resourceVersion !== metadata.resourceVersion
        ? ["ResourceVersion", given.resourceVersion, metadata.resourceVersion]
        : undefined;
  if (!wrong) return;
  const [what, asked, found] = wrong;
  const detail = `Precondition failed: ${what} in precondition: ${asked}, ${what} in object meta: ${found}`;
  const key = `/registry/pods/${namespace}/${name}`;
  const message = `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${detail}`;
  throw conflictError(bindings, name, message);
}
