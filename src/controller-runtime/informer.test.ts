import { describe, expect, test } from "vitest";
import type { ConfigMap } from "../api/core/v1.ts";
import { objectKey } from "./cache.ts";
import { type Change, Informer } from "./informer.ts";

function configMap(
  name: string,
  resourceVersion: number,
  extra: { uid?: string; owner?: string; deletionTimestamp?: string } = {},
): ConfigMap {
  const { uid = `uid-${name}`, owner, deletionTimestamp } = extra;
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name,
      namespace: "default",
      uid,
      resourceVersion: String(resourceVersion),
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...(deletionTimestamp ? { deletionTimestamp } : {}),
      ...(owner ? { ownerReferences: [{ apiVersion: "v1", kind: "X", name: "x", uid: owner, controller: true }] } : {}),
    },
  };
}

function watched(initial: ConfigMap[] = [], resourceVersion = "10") {
  const informer = new Informer<ConfigMap>();
  const told: string[] = [];
  informer.replace(initial, resourceVersion);
  informer.addHandler(({ type, object }: Change<ConfigMap>) => {
    told.push(`${type} ${object.metadata.name}@${object.metadata.resourceVersion}`);
  });
  told.length = 0;
  return { informer, told };
}

const key = (name: string) => objectKey(name, "default");

describe("an informer", () => {
  test("tells a change that was written here once, though the watch brings it again", () => {
    const { informer, told } = watched();
    informer.observeWrite(configMap("a", 11));
    informer.apply([{ type: "ADDED", object: configMap("a", 11) }]);
    expect(told).toEqual(["ADDED a@11"]);
  });

  test("does not raise the dead: a write answered after the watch told the deletion is ignored", () => {
    const { informer, told } = watched();
    informer.apply([
      { type: "ADDED", object: configMap("a", 11) },
      { type: "DELETED", object: configMap("a", 12) },
    ]);
    informer.observeWrite(configMap("a", 11));
    expect(informer.get(key("a"))).toBeUndefined();
    expect(told).toEqual(["ADDED a@11", "DELETED a@12"]);
  });

  test("keeps its own newer write when the watch lags behind", () => {
    const { informer, told } = watched([configMap("a", 5)]);
    informer.observeWrite(configMap("a", 13));
    informer.apply([{ type: "MODIFIED", object: configMap("a", 12) }]);
    expect(informer.get(key("a"))?.metadata.resourceVersion).toBe("13");
    expect(told).toEqual(["MODIFIED a@13"]);
  });

  test("counts a deleted object as terminating until the watch tells, even through other changes", () => {
    const { informer } = watched([configMap("a", 5)]);
    informer.observeDelete(key("a"), "uid-a", "2026-01-02T00:00:00Z");
    expect(informer.get(key("a"))?.metadata.deletionTimestamp).toBe("2026-01-02T00:00:00Z");
    informer.apply([{ type: "MODIFIED", object: configMap("a", 11) }]);
    expect(informer.get(key("a"))?.metadata.deletionTimestamp).toBe("2026-01-02T00:00:00Z");
    informer.apply([{ type: "DELETED", object: configMap("a", 12) }]);
    expect(informer.get(key("a"))).toBeUndefined();
  });

  test("does not mark a successor of the same name as terminating", () => {
    const { informer } = watched([configMap("a", 5, { uid: "second" })]);
    informer.observeDelete(key("a"), "first", "2026-01-02T00:00:00Z");
    expect(informer.get(key("a"))?.metadata.deletionTimestamp).toBeUndefined();
  });

  test("keeps what was written after a list was taken, and drops what the list no longer has", () => {
    const { informer, told } = watched([configMap("old", 5)]);
    informer.observeWrite(configMap("new", 21));
    informer.replace([configMap("other", 18)], "20");
    expect(
      informer
        .list()
        .map(({ metadata }) => metadata.name)
        .sort(),
    ).toEqual(["new", "other"]);
    expect(told).toEqual(["ADDED new@21", "ADDED other@18", "DELETED old@5"]);
  });

  test("tells a deletion and an addition when a name came back as another object", () => {
    const { informer, told } = watched([configMap("a", 5, { uid: "first" })]);
    informer.replace([configMap("a", 15, { uid: "second" })], "20");
    expect(told).toEqual(["DELETED a@5", "ADDED a@15"]);
  });

  test("finds objects by their controller's uid, also when it changes", () => {
    const { informer } = watched([configMap("a", 5, { owner: "o1" }), configMap("b", 6)]);
    expect(informer.byIndex("controllerUid", "o1").map(({ metadata }) => metadata.name)).toEqual(["a"]);
    informer.apply([
      { type: "MODIFIED", object: configMap("a", 11) },
      { type: "MODIFIED", object: configMap("b", 12, { owner: "o1" }) },
    ]);
    expect(informer.byIndex("controllerUid", "o1").map(({ metadata }) => metadata.name)).toEqual(["b"]);
  });

  test("takes the same index from several, and refuses another by its name", () => {
    const { informer } = watched([configMap("a", 9)]);
    const values = ({ metadata }: { readonly metadata: { readonly name: string } }) => metadata.name;
    informer.addIndex({ name: "names", values });
    informer.addIndex({ name: "names", values });
    expect(informer.byIndex("names", "a")).toHaveLength(1);
    expect(() => informer.addIndex({ name: "names", values: () => undefined })).toThrow(
      'two indexes are called "names"',
    );
    expect(informer.byIndex("names", "a")).toHaveLength(1);
  });

  test("that watches a part of a resource does not take in writes to other objects", () => {
    const informer = new Informer<ConfigMap>(true);
    informer.replace([configMap("mine", 5)], "10");
    informer.observeWrite(configMap("other", 11));
    informer.observeWrite(configMap("mine", 12));
    expect(informer.list().map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`)).toEqual(["mine@12"]);
  });
});
