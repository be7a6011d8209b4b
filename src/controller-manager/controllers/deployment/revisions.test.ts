import { expect, test } from "vitest";
import type { ReplicaSet } from "../../../api/apps/v1.ts";
import { compareRevisions, revisionAnnotation, revisionOf } from "./revisions.ts";

const replicaSet = (revision?: string) =>
  ({
    metadata: { name: "a", annotations: revision === undefined ? {} : { [revisionAnnotation]: revision } },
  }) as ReplicaSet;

test.each([
  [undefined, 0n],
  ["7", 7n],
  ["3546343826724305832", 3546343826724305832n],
  ["seven", 0n],
  ["", 0n],
])("revision %j counts as %s", (text, expected) => expect(revisionOf(replicaSet(text))).toBe(expected));

test("neighbours beyond what a double can tell apart keep their order", () => {
  const [older, newer] = [replicaSet("3546343826724305832"), replicaSet("3546343826724305833")];
  expect([newer, older].sort(compareRevisions)).toEqual([older, newer]);
});
