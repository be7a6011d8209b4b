/** `namespaces/finalize`: takes finalizers out of (or puts them into) a Namespace's spec; a terminating one without any is gone. */
import type { Namespace } from "../../api/core/v1.ts";
import type { KubeObject } from "../../api/object.ts";
import { badRequestError } from "../../apimachinery/status-error.ts";
import { bookUpdate } from "../../apiserver/field-management.ts";
import { writeOptionsOf } from "../../apiserver/request-options.ts";
import type { ObjectSubresource } from "../../apiserver/subresource-handler.ts";

export const namespaceFinalize: ObjectSubresource = {
  kind: "object",
  handle({ context, objects, resource, name, query }, body) {
    // Decoded as a Namespace, the kind of this subresource.
    const sent = body as unknown as Namespace | undefined;
    if (!sent) throw badRequestError("a Namespace is expected as the body");
    if (sent.metadata.name !== name) {
      throw badRequestError(
        sent.metadata.name
          ? `the name of the object (${sent.metadata.name}) does not match the name on the URL (${name})`
          : `the name of the object (${name} based on URL) was undeterminable: name must be provided`,
      );
    }
    const options = writeOptionsOf(query, "UpdateOptions");
    const manager = options.fieldManager || context.defaultManager;
    return objects.update(context, {
      resource,
      namespace: "",
      name,
      subresource: "finalize",
      dryRun: options.dryRun,
      unconditional: true,
      admitted: true,
      ...(sent.metadata.uid ? { expectedUid: sent.metadata.uid } : {}),
      transform(previous) {
        // update() has refused what does not exist; what stands under namespaces is a Namespace.
        const { spec: _spec, ...rest } = previous as unknown as Namespace;
        const metadata = { ...rest.metadata, resourceVersion: sent.metadata.resourceVersion };
        const next = { ...rest, metadata, spec: { ...sent.spec } };
        return next as unknown as KubeObject;
      },
      book: (next, previous) => bookUpdate(resource, next, previous, manager, "finalize", objects.services.clock.now()),
    });
  },
};
