/**
 * What plugins that look at nothing but a Pod's shape and one Node said of that Node, kept until the Node changes: Pods of one
 * template are judged once, not once each (upstream's opportunistic batching, to the same end and with no loss of precision).
 */
import type { Profile, Refusal, SchedulerPlugin } from "./framework.ts";
import { type PodInfo, shapeOf } from "./pod-info.ts";

/** Shapes kept; the least recently used goes. Each costs a few numbers per Node. */
const maxShapes = 32;

export interface PluginRefusal {
  plugin: SchedulerPlugin;
  refusal: Refusal;
}

export class NodeEvaluations {
  /** By profile and shape; the one used last stands last. */
  readonly #shapes = new Map<string, ShapeEvaluations>();
  readonly #profiles = new Map<Profile, number>();
  #latest: { profile: Profile; shape: string; evaluations: ShapeEvaluations } | undefined;

  /** Undefined: the Pod asks for something that is not a matter between it and one Node. */
  of(profile: Profile, pod: PodInfo): ShapeEvaluations | undefined {
    const shape = shapeOf(pod);
    if (shape === undefined) return undefined;
    const latest = this.#latest;
    if (latest?.profile === profile && latest.shape === shape) return latest.evaluations;
    if (!this.#profiles.has(profile)) this.#profiles.set(profile, this.#profiles.size);
    const key = `${this.#profiles.get(profile)} ${shape}`;
    const evaluations = this.#shapes.get(key) ?? new ShapeEvaluations();
    this.#shapes.delete(key);
    this.#shapes.set(key, evaluations);
    if (this.#shapes.size > maxShapes) this.#shapes.delete(this.#shapes.keys().next().value!);
    this.#latest = { profile, shape, evaluations };
    return evaluations;
  }

  /** The Node that keeps this slot changed, or left it to another. */
  forget(slot: number): void {
    for (const evaluations of this.#shapes.values()) evaluations.forget(slot);
  }
}

const unknown = 0;
const feasible = 1;
const refused = 2;

/** What is known for one shape, by the slots of Nodes. */
export class ShapeEvaluations {
  #states = new Uint8Array(64);
  readonly #refusals: (PluginRefusal | undefined)[] = [];
  /** By the plugin's place in the profile. NaN: not asked yet. */
  readonly #scores: (Float64Array | undefined)[] = [];

  /** Why the Node in a slot is refused, as `judge` said when it was last asked. */
  refusedBy(slot: number, judge: () => PluginRefusal | undefined): PluginRefusal | undefined {
    const state = slot < this.#states.length ? this.#states[slot]! : unknown;
    if (state === feasible) return undefined;
    if (state === refused) return this.#refusals[slot];
    const refusal = judge();
    if (slot >= this.#states.length) {
      const states = new Uint8Array(slot * 2);
      states.set(this.#states);
      this.#states = states;
    }
    this.#states[slot] = refusal ? refused : feasible;
    this.#refusals[slot] = refusal;
    return refusal;
  }

  /** Raw scores by slot of the plugin that stands there in the profile; NaN where it has not been asked yet. At least `slots` long. */
  scores(place: number, slots: number): Float64Array {
    const present = this.#scores[place];
    if (present && present.length >= slots) return present;
    const scores = new Float64Array(Math.max(64, slots * 2)).fill(Number.NaN);
    if (present) scores.set(present);
    this.#scores[place] = scores;
    return scores;
  }

  forget(slot: number): void {
    if (slot < this.#states.length) this.#states[slot] = unknown;
    for (const scores of this.#scores) if (scores && slot < scores.length) scores[slot] = Number.NaN;
  }
}
