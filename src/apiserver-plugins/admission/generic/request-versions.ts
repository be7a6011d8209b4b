/** A request's objects in the version that somebody matched it as (`matchPolicy: Equivalent`), and back in the request's own. */
import type { DeepReadonly, KubeObject } from "../../../api/object.ts";
import type { AdmissionRequest } from "../../../apiserver/admission.ts";
import type { ResourceRegistry, ServedResource } from "../../../apiserver/resource-registry.ts";
import type { MatchedAs } from "./matching.ts";

export interface SeenObjects {
  object: object | null;
  oldObject: object | null;
}

export class RequestVersions {
  readonly #registry: ResourceRegistry;

  constructor(registry: ResourceRegistry) {
    this.#registry = registry;
  }

  /** As they are now: to be asked again when the request's object has changed. At once, unless versions differ. */
  objects(request: AdmissionRequest, as: MatchedAs): SeenObjects | Promise<SeenObjects> {
    const { object, oldObject } = request;
    const own = as.converted && this.#served(request);
    if (!own) return { object: labelled(object, as), oldObject: labelled(oldObject, as) };
    const { converted: other } = as;
    const see = async (one: DeepReadonly<KubeObject> | undefined) =>
      one && labelled(await converted(one as KubeObject, own, other!), as);
    return Promise.all([see(object), see(oldObject)]).then(([now, before]) => ({
      object: now ?? null,
      oldObject: before ?? null,
    }));
  }

  /** What was made of the object in the version that was matched, in the version of the request. */
  async restored(object: KubeObject, as: MatchedAs, request: AdmissionRequest): Promise<KubeObject> {
    const own = as.converted && this.#served(request);
    return own ? converted(object, as.converted!, own) : object;
  }

  #served({ definition: { group, version, plural } }: AdmissionRequest): ServedResource | undefined {
    return this.#registry.find(group, version, plural);
  }
}

async function converted(object: KubeObject, from: ServedResource, to: ServedResource): Promise<KubeObject> {
  // A copy: conversions are remembered by the object, and this one may still change.
  const stored = { ...(await from.store(object)) };
  await to.prepare([stored]);
  return to.fromStored(stored);
}

function labelled(object: DeepReadonly<KubeObject> | undefined, { kind }: MatchedAs): object | null {
  if (!object) return null;
  return { ...object, apiVersion: kind.group ? `${kind.group}/${kind.version}` : kind.version, kind: kind.kind };
}
