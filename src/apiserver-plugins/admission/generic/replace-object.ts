/** Puts what a webhook or a policy made of an object in that object's place. */
import type { KubeObject } from "../../../api/object.ts";
import { deepEqual } from "../../../apimachinery/patch/deep-equal.ts";
import { decodeValue } from "../../../apimachinery/serializer/json.ts";
import type { AdmissionRequest } from "../../../apiserver/admission.ts";
import { schemaOfDefinition } from "../../../apiserver/resource-registry.ts";
import type { MatchedAs } from "./matching.ts";

/** Decoded and with defaults, as if a client had sent it. Unknown fields are dropped, wrong types throw. */
export function decodedAs(json: unknown, as: MatchedAs, request: AdmissionRequest): KubeObject {
  const definition = as.converted?.definition ?? request.definition;
  const schema = schemaOfDefinition(definition);
  const object = schema ? decodeValue<KubeObject>(json, schema).object : (json as KubeObject);
  definition.defaults?.(object);
  return object;
}

/** Says whether anything changed. The object and its metadata stay the same ones, since others hold on to them: their content is exchanged. */
export function replaceObject(request: AdmissionRequest, next: KubeObject): boolean {
  const target = request.object as unknown as Record<string, unknown>;
  if (deepEqual(target, next)) return false;
  const { metadata } = request.object!;
  exchange(metadata as unknown as Record<string, unknown>, next.metadata as unknown as Record<string, unknown>);
  exchange(target, { ...next, metadata });
  return true;
}

function exchange(target: Record<string, unknown>, next: Record<string, unknown>): void {
  for (const key of Object.keys(target)) delete target[key];
  Object.assign(target, next);
}

/** Who wants to look once more when others changed the object after them (`reinvocationPolicy: IfNeeded`). */
export class Course {
  readonly #settled = new Set<string>();
  readonly #again = new Set<string>();
  #last: KubeObject | undefined;

  /** Called when a pass begins: what plugins changed since the last one counts as a change too. */
  begin(request: AdmissionRequest): void {
    if (request.pass > 1 && this.#last && !deepEqual(this.#last, request.object)) this.changed();
  }

  /** Whether `id` takes part in this pass. */
  takesPart(id: string, request: AdmissionRequest): boolean {
    return request.pass === 1 || this.#again.delete(id);
  }

  /** Everybody who was content wants to look again. */
  changed(): void {
    for (const id of this.#settled) this.#again.add(id);
    this.#settled.clear();
  }

  settle(id: string): void {
    this.#settled.add(id);
  }

  end(request: AdmissionRequest): void {
    this.#last = structuredClone(request.object);
  }
}
