import { describe, expect, test } from "vitest";
import type { PersistentVolume, PersistentVolumeClaim } from "../api/core/v1.ts";
import { findVolume, mismatch } from "./volume-matching.ts";

type Volume = Partial<PersistentVolume["spec"]> & {
  phase?: string;
  labels?: Record<string, string>;
  isGoing?: boolean;
};

const created = { resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" };

function volume(name: string, storage: string, { phase = "Available", labels, isGoing, ...spec }: Volume = {}) {
  return {
    metadata: {
      ...created,
      name,
      uid: name,
      ...(labels ? { labels } : {}),
      ...(isGoing ? { deletionTimestamp: "x" } : {}),
    },
    spec: { capacity: { storage }, accessModes: ["ReadWriteOnce"], storageClassName: "slow", ...spec },
    status: { phase },
  } as unknown as PersistentVolume;
}

function claim(spec: Partial<PersistentVolumeClaim["spec"]> = {}): PersistentVolumeClaim {
  return {
    metadata: { ...created, name: "data", namespace: "default", uid: "claim" },
    spec: {
      accessModes: ["ReadWriteOnce"],
      storageClassName: "slow",
      resources: { requests: { storage: "1Gi" } },
      ...spec,
    },
  } as unknown as PersistentVolumeClaim;
}

const both = ["ReadWriteOnce", "ReadWriteMany"];
const reserved = (uid?: string) => ({ claimRef: { namespace: "default", name: "data", ...(uid ? { uid } : {}) } });
const onlyOn = (name: string) => ({
  nodeAffinity: {
    required: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [name] }] }],
    },
  },
});

describe("a claim gets", () => {
  test.each<[string, PersistentVolume[], PersistentVolumeClaim, string | undefined]>([
    ["the smallest that is large enough", [volume("l", "5Gi"), volume("m", "2Gi"), volume("s", "1Mi")], claim(), "m"],
    ["exactly what it asks for", [volume("m", "1Gi")], claim(), "m"],
    [
      "one with fewer access modes first",
      [volume("a", "1Gi", { accessModes: both }), volume("b", "9Gi")],
      claim(),
      "b",
    ],
    ["one with all modes that it wants", [volume("a", "1Gi")], claim({ accessModes: both }), undefined],
    ["none of another class", [volume("a", "1Gi")], claim({ storageClassName: "fast" }), undefined],
    ["none of a class when it wants none", [volume("a", "1Gi")], claim({ storageClassName: "" }), undefined],
    ["one without a class", [volume("a", "1Gi", { storageClassName: "" })], claim({ storageClassName: "" }), "a"],
    ["none of another mode", [volume("a", "1Gi", { volumeMode: "Block" })], claim(), undefined],
    [
      "a block device where it asks for one",
      [volume("a", "1Gi", { volumeMode: "Block" })],
      claim({ volumeMode: "Block" }),
      "a",
    ],
    ["none of other attributes", [volume("a", "1Gi", { volumeAttributesClassName: "gold" })], claim(), undefined],
    ["none that is released", [volume("a", "1Gi", { phase: "Released" })], claim(), undefined],
    ["none on its way out", [volume("a", "1Gi", { isGoing: true })], claim(), undefined],
    [
      "one whose labels it selects",
      [volume("a", "1Gi"), volume("b", "2Gi", { labels: { disk: "ssd" } })],
      claim({ selector: { matchLabels: { disk: "ssd" } } }),
      "b",
    ],
    ["the one that names it, however large", [volume("a", "1Gi"), volume("b", "9Gi", reserved())], claim(), "b"],
    ["the one that names it by uid", [volume("a", "1Gi"), volume("b", "9Gi", reserved("claim"))], claim(), "b"],
    [
      "another when one names its predecessor",
      [volume("a", "9Gi"), volume("b", "1Gi", reserved("older"))],
      claim(),
      "a",
    ],
    [
      "another when the one that names it is too small",
      [volume("a", "9Gi"), volume("b", "1Mi", reserved())],
      claim(),
      "a",
    ],
  ])("%s", (_, volumes, wanting, expected) => {
    expect(findVolume(volumes, wanting)?.metadata.name).toBe(expected);
  });

  const node = { name: "n", labels: { "kubernetes.io/hostname": "n" } };
  test("on a Node only what that reaches, and nothing else when one elsewhere names it", () => {
    const volumes = [volume("there", "1Gi", onlyOn("m")), volume("here", "2Gi", onlyOn("n"))];
    expect(findVolume(volumes, claim(), { node })?.metadata.name).toBe("here");
    const named = volume("named", "1Gi", { ...onlyOn("m"), ...reserved() });
    expect(findVolume([...volumes, named], claim(), { node })).toBeUndefined();
  });

  test("nothing but what names it as long as its class waits for a Pod", () => {
    expect(findVolume([volume("a", "1Gi")], claim(), { onlyReserved: true })).toBeUndefined();
    expect(findVolume([volume("a", "1Gi", reserved())], claim(), { onlyReserved: true })?.metadata.name).toBe("a");
  });
});

describe("a volume asked for by name", () => {
  test.each<[string, PersistentVolume, string | undefined]>([
    ["will do", volume("a", "1Gi"), undefined],
    ["is too small", volume("a", "1Mi"), "requested PV is too small"],
    ["is of another class", volume("a", "1Gi", { storageClassName: "fast" }), "storageClassName does not match"],
    [
      "has other attributes",
      volume("a", "1Gi", { volumeAttributesClassName: "g" }),
      "volumeAttributesClassName does not match",
    ],
    ["is of another mode", volume("a", "1Gi", { volumeMode: "Block" }), "incompatible volumeMode"],
    ["lacks an access mode", volume("a", "1Gi", { accessModes: ["ReadOnlyMany"] }), "incompatible accessMode"],
    ["is on its way out", volume("a", "1Gi", { isGoing: true }), 'the volume is marked for deletion "a"'],
  ])("%s", (_, offered, expected) => {
    expect(mismatch(offered, claim())).toBe(expected);
  });
});
