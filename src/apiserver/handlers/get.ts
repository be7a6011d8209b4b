/** GET of one object. */
import { notFoundError } from "../../apimachinery/status-error.ts";
import type { Answer } from "../answer.ts";
import { revisionOf } from "../request-options.ts";
import type { ServedResource } from "../resource-registry.ts";
import { waitForRevision } from "../revisions.ts";
import type { RequestContext, Services } from "../services.ts";

/** Synchronous where nothing has to be waited for, which is nearly always. */
export function get(
  services: Services,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  name: string,
  resourceVersion: string,
): Answer | Promise<Answer> {
  const { cache } = resource;
  const revision = revisionOf(resourceVersion, "get");
  if (cache.isReady && (!revision || revision <= cache.revision)) return found(resource, namespace, name);
  return waitThenFind(services, context, resource, namespace, name, revision);
}

async function waitThenFind(
  services: Services,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  name: string,
  revision: number | undefined,
): Promise<Answer> {
  await resource.cache.ready();
  if (revision) await waitForRevision(services, context, resource, revision);
  return found(resource, namespace, name);
}

function found(resource: ServedResource, namespace: string, name: string): Answer | Promise<Answer> {
  const entry = resource.cache.get(resource.key(namespace, name));
  if (!entry) throw notFoundError(resource.groupResource, name);
  const answer: Answer = { kind: "entry", code: 200, resource, entry };
  return resource.prepare([entry.object])?.then(() => answer) ?? answer;
}
