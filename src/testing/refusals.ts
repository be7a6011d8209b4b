/** For tests: tables of bad objects and the errors that each of them gets. */
import { describe, expect, it } from "vitest";
import type { ResourceDefinition } from "../apimachinery/resource-definition.ts";
import { changeProblemsOf, problemsOf, statusProblemsOf, storedForm, warningsOf } from "./problems-of.ts";

/** Values by dotted path (`spec.containers.0.image`), put into a valid object; undefined takes the field away. */
export type Change = Readonly<Record<string, unknown>>;

type Expected = readonly unknown[];
/** What is wrong with the object, how it comes about, and every error in order: `spec.replicas: Invalid value: -1: …`. */
export type Refusal = readonly [title: string, change: Change, errors: Expected];
/** As Refusal, for an object that was valid before: `before` is put into both sides. */
export type ChangeRefusal = readonly [title: string, change: Change, errors: Expected, before?: Change];

// biome-ignore lint/suspicious/noExplicitAny: tables hold definitions of every kind.
type AnyDefinition = ResourceDefinition<any>;

/** One test for each bad object, and one that the object they are made from is fine. */
export function refuses(definition: AnyDefinition, valid: object, refusals: readonly Refusal[]): void {
  describe(`a ${definition.kind} is refused`, () => {
    it("never, when it is well-formed", () => {
      expect(problemsOf(definition, valid)).toEqual([]);
    });
    for (const [title, change, errors] of refusals) {
      it(title, () => {
        expect(problemsOf(definition, changed(valid, change))).toEqual(errors);
      });
    }
  });
}

/** One test for each object that is taken with a warning, and one that the object they are made from gets none. */
export function warns(definition: AnyDefinition, valid: object, warnings: readonly Refusal[]): void {
  describe(`of a ${definition.kind} its writer is warned`, () => {
    it("never, when there is nothing to say", () => {
      expect(warningsOf(definition, valid)).toEqual([]);
    });
    for (const [title, change, texts] of warnings) {
      it(title, () => {
        expect(warningsOf(definition, changed(valid, change))).toEqual(texts);
      });
    }
  });
}

/** One test for each change that an update may not make. An empty list of errors: the change is fine. */
export function refusesChanges(
  definition: AnyDefinition,
  valid: object,
  refusals: readonly ChangeRefusal[],
  subresource = "",
): void {
  const what = subresource ? `${definition.kind}'s ${subresource}` : definition.kind;
  describe(`a change of a ${what}`, () => {
    for (const [title, change, errors, before = {}] of refusals) {
      it(title, () => {
        // As it is stored, but with the status that the table says.
        const previous = changed(storedForm(definition, changed(valid, before)), before);
        const next = changed(previous, change);
        const problems =
          subresource === "status"
            ? statusProblemsOf(definition, previous, next)
            : changeProblemsOf(definition, previous, next, subresource);
        expect(problems).toEqual(errors);
      });
    }
  });
}

/** A copy with the change put in. Missing objects on the way are made. */
export function changed<T extends object>(object: T, change: Change): T {
  const copy = structuredClone(object);
  for (const [path, value] of Object.entries(change)) put(copy, path.split("."), structuredClone(value));
  return copy;
}

function put(target: object, [step = "", ...rest]: readonly string[], value: unknown): void {
  const holder = target as Record<string, unknown>;
  if (rest.length > 0) {
    holder[step] ??= /^\d+$/.test(rest[0]!) ? [] : {};
    put(holder[step] as object, rest, value);
  } else if (value === undefined) delete holder[step];
  else holder[step] = value;
}
