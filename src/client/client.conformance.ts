/** What every Client must do, whichever way it reaches the API. Implementations run it from their own tests. */
import { describe, expect, test } from "vitest";
import type { ConfigMap } from "../api/core/v1.ts";
import { ConfigMaps, Deployments, Namespaces, Pods } from "../api/resources.ts";
import {
  isAlreadyExists,
  isConflict,
  isGone,
  isInvalid,
  isNotFound,
  StatusError,
} from "../apimachinery/status-error.ts";
import type { Client, WatchEvent } from "./client.ts";

/**
 * `fresh` yields a client of a server whose namespace `default` is empty of ConfigMaps, and how to end both.
 * A forgetful server has a past, but no record of it.
 */
export function clientConformance(
  name: string,
  fresh: (isForgetful: boolean) => Promise<{ client: Client; end(): Promise<void> }>,
): void {
  const withClient = async (run: (client: Client) => Promise<void>, isForgetful = false) => {
    const { client, end } = await fresh(isForgetful);
    try {
      await run(client);
    } finally {
      await end();
    }
  };
  const map = (mapName: string, data: Record<string, string> = {}) => ({
    metadata: { name: mapName, namespace: "default" },
    data,
  });
  const ref = (refName: string) => ({ name: refName, namespace: "default" });

  describe(name, () => {
    test("an object that was created can be read, and carries what the server adds", () =>
      withClient(async (client) => {
        const created = await client.create(ConfigMaps, map("a", { x: "1" }));
        expect(created).toMatchObject({ apiVersion: "v1", kind: "ConfigMap", data: { x: "1" } });
        expect(created.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
        expect(Number(created.metadata.resourceVersion)).toBeGreaterThan(0);
        expect(await client.get(ConfigMaps, ref("a"))).toEqual(created);
      }));

    test("errors of the API are StatusErrors that say which", () =>
      withClient(async (client) => {
        await client.create(ConfigMaps, map("a"));
        await expect(client.get(ConfigMaps, ref("none"))).rejects.toSatisfy(isNotFound);
        await expect(client.create(ConfigMaps, map("a"))).rejects.toSatisfy(isAlreadyExists);
        await expect(client.create(ConfigMaps, map("Not a name"))).rejects.toSatisfy(isInvalid);
        await expect(client.create(ConfigMaps, map("b"), { fieldManager: "x".repeat(200) })).rejects.toSatisfy(
          isInvalid,
        );
        await expect(client.list(ConfigMaps, { labelSelector: "a in" })).rejects.toMatchObject({
          code: 400,
          message: "unable to parse requirement: found '' expected: '('",
        });
        await expect(client.delete(ConfigMaps, ref("none"))).rejects.toSatisfy(isNotFound);
      }));

    test("an update with an old resourceVersion conflicts", () =>
      withClient(async (client) => {
        const first = await client.create(ConfigMaps, map("a", { x: "1" }));
        const second = await client.update(ConfigMaps, { ...first, data: { x: "2" } });
        expect(second.data).toEqual({ x: "2" });
        await expect(client.update(ConfigMaps, { ...first, data: { x: "3" } })).rejects.toSatisfy(isConflict);
      }));

    test("all patch types change what they name", () =>
      withClient(async (client) => {
        await client.create(ConfigMaps, map("a", { x: "1", y: "1" }));
        const merged = await client.patch(ConfigMaps, ref("a"), { type: "merge", body: { data: { x: null, z: "1" } } });
        expect(merged.data).toEqual({ y: "1", z: "1" });
        const operations = [{ op: "replace", path: "/data/y", value: "2" }];
        const json = await client.patch(ConfigMaps, ref("a"), { type: "json", body: operations });
        expect(json.data).toEqual({ y: "2", z: "1" });
        const strategic = await client.patch(ConfigMaps, ref("a"), { type: "strategic", body: { data: { z: null } } });
        expect(strategic.data).toEqual({ y: "2" });
        const body = { apiVersion: "v1", kind: "ConfigMap", ...map("b", { x: "1" }) };
        const applied = await client.patch(ConfigMaps, ref("b"), { type: "apply", body }, { fieldManager: "me" });
        expect(applied.metadata.managedFields).toMatchObject([{ manager: "me", operation: "Apply" }]);
      }));

    test("status is written apart from the rest", () =>
      withClient(async (client) => {
        const metadata = { name: "p", namespace: "default" };
        const pod = await client.create(Pods, { metadata, spec: { containers: [{ name: "c", image: "i" }] } });
        const status = { ...pod.status, phase: "Running" } as const;
        const written = await client.updateStatus(Pods, {
          ...pod,
          spec: { ...pod.spec, nodeName: "ignored" },
          status,
        });
        expect(written.status?.phase).toBe("Running");
        expect(written.spec?.nodeName).toBeUndefined();
      }));

    test("lists come in pages of one state", () =>
      withClient(async (client) => {
        for (const letter of ["a", "b", "c"]) await client.create(ConfigMaps, map(letter));
        const first = await client.list(ConfigMaps, { namespace: "default", limit: 2 });
        expect(first.items.map((item) => item.metadata.name)).toEqual(["a", "b"]);
        expect(first.items[0]).toMatchObject({ apiVersion: "v1", kind: "ConfigMap" });
        expect(first.metadata.remainingItemCount).toBe(1);
        await client.delete(ConfigMaps, ref("c"));
        const second = await client.list(ConfigMaps, {
          namespace: "default",
          limit: 2,
          ...(first.metadata.continue ? { continue: first.metadata.continue } : {}),
        });
        expect(second.items.map((item) => item.metadata.name)).toEqual(["c"]);
        expect(second.metadata.continue).toBeUndefined();
      }));

    test("nothing happens between a list and a watch from its resourceVersion that the watch does not tell", () =>
      withClient(async (client) => {
        await client.create(ConfigMaps, map("a"));
        const { metadata } = await client.list(ConfigMaps, { namespace: "default" });
        await client.create(ConfigMaps, map("b"));
        const seen = collector<ConfigMap>();
        const options = { namespace: "default", resourceVersion: metadata.resourceVersion };
        const handle = await client.watch(ConfigMaps, options, seen.receive);
        const changed = await client.patch(ConfigMaps, ref("b"), { type: "merge", body: { data: { x: "1" } } });
        await client.delete(ConfigMaps, ref("a"));
        await seen.until(3);
        expect(seen.summary()).toEqual(["ADDED b", "MODIFIED b", "DELETED a"]);
        expect((seen.events[1] as { object: object }).object).toEqual(changed);
        handle.stop();
        await handle.closed;
      }));

    test("a watch with initial events says where they end", () =>
      withClient(async (client) => {
        await client.create(ConfigMaps, map("a"));
        const seen = collector<ConfigMap>();
        const options = { namespace: "default", sendInitialEvents: true, allowBookmarks: true };
        const handle = await client.watch(ConfigMaps, options, seen.receive);
        await seen.until(2);
        expect(seen.events[1]).toMatchObject({
          type: "BOOKMARK",
          object: { metadata: { annotations: { "k8s.io/initial-events-end": "true" } } },
        });
        handle.stop();
      }));

    test("a watch ends by itself after its time, and at once when the signal aborts", () =>
      withClient(async (client) => {
        const short = await client.watch(ConfigMaps, { timeoutSeconds: 1 }, () => {});
        await short.closed;
        const abort = new AbortController();
        const long = await client.watch(ConfigMaps, { signal: abort.signal }, () => {});
        abort.abort();
        await long.closed;
      }));

    test("what has been forgotten is answered with 410: list again", () =>
      withClient(async (client) => {
        const { metadata } = await client.list(ConfigMaps);
        // Said at once, or as the watch's end.
        const watching = client.watch(ConfigMaps, { resourceVersion: "1" }, () => {});
        await expect(watching.then(({ closed }) => closed)).rejects.toSatisfy(isGone);
        const past = { resourceVersion: "1", resourceVersionMatch: "Exact" } as const;
        await expect(client.list(ConfigMaps, past)).rejects.toSatisfy(isGone);
        const handle = await client.watch(ConfigMaps, { resourceVersion: metadata.resourceVersion }, () => {});
        handle.stop();
        await handle.closed;
      }, true));

    test("a dry run tells what would be and leaves nothing", () =>
      withClient(async (client) => {
        const would = await client.create(ConfigMaps, map("a"), { dryRun: true });
        expect(would.metadata.name).toBe("a");
        await expect(client.get(ConfigMaps, ref("a"))).rejects.toSatisfy(isNotFound);
      }));

    test("deletions keep to preconditions, finalizers and selectors", () =>
      withClient(async (client) => {
        const kept = await client.create(ConfigMaps, {
          ...map("kept"),
          metadata: { ...map("kept").metadata, finalizers: ["example.com/hold"], labels: { go: "yes" } },
        });
        await client.create(ConfigMaps, map("other"));
        await expect(
          client.delete(ConfigMaps, ref("kept"), { preconditions: { uid: "00000000-0000-0000-0000-000000000000" } }),
        ).rejects.toSatisfy(isConflict);
        await client.deleteCollection(ConfigMaps, { namespace: "default", labelSelector: "go=yes" });
        const dying = await client.get(ConfigMaps, ref("kept"));
        expect(dying.metadata.uid).toBe(kept.metadata.uid);
        expect(dying.metadata.deletionTimestamp).toBeDefined();
        await client.patch(ConfigMaps, ref("kept"), { type: "merge", body: { metadata: { finalizers: null } } });
        const left = await client.list(ConfigMaps, { namespace: "default" });
        expect(left.items.map((item) => item.metadata.name)).toEqual(["other"]);
      }));

    test("cluster-scoped objects need no namespace", () =>
      withClient(async (client) => {
        await client.create(Namespaces, { metadata: { name: "mine" }, spec: {} });
        expect((await client.get(Namespaces, { name: "mine" })).status?.phase).toBe("Active");
      }));

    test("errors say which object and which field", () =>
      withClient(async (client) => {
        const none = await client.get(ConfigMaps, ref("none")).catch((error) => error);
        expect(none.toStatus()).toEqual({
          kind: "Status",
          apiVersion: "v1",
          metadata: {},
          status: "Failure",
          code: 404,
          reason: "NotFound",
          message: 'configmaps "none" not found',
          details: { name: "none", kind: "configmaps" },
        });
        const metadata = { name: "p", namespace: "default" };
        const pod = client.create(Pods, { metadata, spec: { containers: [{ name: "Not a name", image: "i" }] } });
        const { details } = await pod.catch((error) => error);
        expect(details.causes).toMatchObject([{ reason: "FieldValueInvalid", field: "spec.containers[0].name" }]);
      }));

    test("fields that do not exist are refused when asked to be strict", () =>
      withClient(async (client) => {
        const odd = { ...map("a"), dta: {} };
        await expect(client.create(ConfigMaps, odd, { fieldValidation: "Strict" })).rejects.toMatchObject({
          reason: "BadRequest",
          message: expect.stringContaining('unknown field "dta"'),
        });
        expect(await client.create(ConfigMaps, odd)).not.toHaveProperty("dta");
      }));

    test("a field that another manager applied is a conflict, until forced", () =>
      withClient(async (client) => {
        const apply = (value: string, fieldManager: string, force = false) => {
          const body = { apiVersion: "v1", kind: "ConfigMap", ...map("a", { x: value }) };
          return client.patch(ConfigMaps, ref("a"), { type: "apply", body, force }, { fieldManager });
        };
        await apply("1", "one");
        const conflict = await apply("2", "two").catch((error) => error);
        expect(conflict).toSatisfy(isConflict);
        expect(conflict.details.causes).toMatchObject([{ reason: "FieldManagerConflict", field: ".data.x" }]);
        expect((await apply("2", "two", true)).data).toEqual({ x: "2" });
      }));

    test("subresources: a pod is bound, a scale is put, a status is patched", () =>
      withClient(async (client) => {
        const metadata = { name: "p", namespace: "default" };
        await client.create(Pods, { metadata, spec: { containers: [{ name: "c", image: "i" }] } });
        const binding = { apiVersion: "v1", kind: "Binding", metadata, target: { kind: "Node", name: "n1" } };
        await client.createSubresource(Pods, ref("p"), "binding", binding);
        expect((await client.get(Pods, ref("p"))).spec.nodeName).toBe("n1");
        const body = { status: { phase: "Running" } };
        // Meant for a pod of the same name that is gone: this one must not get its status.
        const stale = { ...body, metadata: { uid: "another" } };
        await expect(
          client.patch(Pods, ref("p"), { type: "strategic", body: stale }, { subresource: "status" }),
        ).rejects.toSatisfy(isConflict);
        const patched = await client.patch(Pods, ref("p"), { type: "merge", body }, { subresource: "status" });
        expect(patched.status?.phase).toBe("Running");

        const labels = { app: "web" };
        const template = { metadata: { labels }, spec: { containers: [{ name: "c", image: "i" }] } };
        const spec = { replicas: 1, selector: { matchLabels: labels }, template };
        await client.create(Deployments, { metadata: { name: "web", namespace: "default" }, spec });
        const scale = { apiVersion: "autoscaling/v1", kind: "Scale", metadata: ref("web"), spec: { replicas: 3 } };
        const answer = await client.updateSubresource(Deployments, ref("web"), "scale", scale);
        expect(answer).toMatchObject({ kind: "Scale", spec: { replicas: 3 } });
        expect((await client.get(Deployments, ref("web"))).spec.replicas).toBe(3);
      }));

    test("names can be generated, and any text can be kept, a lot of it too", () =>
      withClient(async (client) => {
        const handled = collector<ConfigMap>();
        const handle = await client.watch(ConfigMaps, { namespace: "default" }, handled.receive);
        const text = `žluťoučký "kůň"\n\u2028🚢 ${"x".repeat(700_000)}`;
        const created = await client.create(ConfigMaps, {
          metadata: { generateName: "any-", namespace: "default" },
          data: { text },
        });
        expect(created.metadata.name).toMatch(/^any-[a-z0-9]{5}$/);
        await handled.until(1);
        expect((handled.events[0] as { object: ConfigMap }).object.data?.["text"]).toBe(text);
        handle.stop();
      }));

    test("many calls at once do not mix up their answers", () =>
      withClient(async (client) => {
        const names = Array.from({ length: 200 }, (_, i) => `m-${i}`);
        const created = await Promise.all(names.map((each) => client.create(ConfigMaps, map(each, { of: each }))));
        expect(created.map(({ data }) => data?.["of"])).toEqual(names);
        const read = await Promise.all(names.map((each) => client.get(ConfigMaps, ref(each))));
        expect(read.map(({ data }) => data?.["of"])).toEqual(names);
      }));

    test("a signal that has aborted stops a call before it begins", () =>
      withClient(async (client) => {
        const signal = AbortSignal.abort(new Error("enough"));
        await expect(client.list(ConfigMaps, { signal })).rejects.toThrow("enough");
        await expect(client.create(ConfigMaps, map("a"), { signal })).rejects.toThrow("enough");
        await expect(client.watch(ConfigMaps, { signal }, () => {})).rejects.toThrow("enough");
        await expect(client.get(ConfigMaps, ref("a"))).rejects.toSatisfy(isNotFound);
      }));

    test("a subresource that is not served is refused with a Status", () =>
      withClient(async (client) => {
        await expect(client.createSubresource(ConfigMaps, ref("a"), "frobnicate", {})).rejects.toBeInstanceOf(
          StatusError,
        );
      }));
  });
}

function collector<T extends ConfigMap>() {
  const events: WatchEvent<T>[] = [];
  const waiting: { count: number; resolve(): void }[] = [];
  return {
    events,
    receive(batch: readonly WatchEvent<T>[]) {
      events.push(...batch);
      for (const { count, resolve } of waiting) if (events.length >= count) resolve();
    },
    until: (count: number) =>
      events.length >= count ? Promise.resolve() : new Promise<void>((resolve) => waiting.push({ count, resolve })),
    summary: () =>
      events.map((event) =>
        event.type === "BOOKMARK" ? "BOOKMARK" : `${event.type} ${(event.object.metadata as { name: string }).name}`,
      ),
  };
}
