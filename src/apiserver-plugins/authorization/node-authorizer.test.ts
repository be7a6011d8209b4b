import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Leases, Nodes, Pods, ResourceClaims, ResourceSlices, Secrets, ServiceAccounts } from "../../api/resources.ts";
import { silentLogger } from "../../base/logger.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import { InformerCache } from "../../controller-runtime/informer-cache.ts";
import type { TestApiServer } from "../../testing/api-server.ts";
import { startPolicyServer } from "../../testing/policy-server.ts";
import { createTokenAuthority } from "../authentication/service-account-tokens.ts";
import { serviceAccountToken } from "../subresources/service-account-token.ts";
import { mastersAuthorizer } from "./masters.ts";
import { NodeAuthorizer } from "./node-authorizer.ts";
import { NodeGraph } from "./node-graph.ts";

let api: TestApiServer;
const stop = new AbortController();

beforeAll(async () => {
  const graph = new NodeGraph(
    () => new InformerCache({ client: api.client, clock: systemClock, log: silentLogger, signal: stop.signal }),
  );
  const tokens = createTokenAuthority({
    privateKeyPem: generateKeyPairSync("rsa", { modulusLength: 2048 })
      .privateKey.export({ type: "pkcs8", format: "pem" })
      .toString(),
    issuer: "https://test",
    clock: systemClock,
    random: systemRandom,
  });
  api = await startPolicyServer({
    authorizers: [mastersAuthorizer, new NodeAuthorizer(graph)],
    subresources: new Map([["serviceaccounts/token", serviceAccountToken(tokens, ["https://test"])]]),
  });
  const { client } = api;
  await client.create(ServiceAccounts, { metadata: { name: "default", namespace: "default" } });
  for (const name of ["needed", "other"]) await client.create(Secrets, { metadata: { name, namespace: "default" } });
  for (const name of ["one", "two"]) await client.create(Nodes, { metadata: { name }, spec: {} } as never);
  for (const node of ["one", "two"]) {
    const secret = node === "one" ? "needed" : "other";
    await client.create(Pods, {
      metadata: { name: `on-${node}`, namespace: "default" },
      spec: {
        nodeName: node,
        containers: [{ name: "main", image: "nginx:1.27" }],
        volumes: [{ name: "s", secret: { secretName: secret } }],
      },
    } as never);
  }
});
afterAll(async () => {
  stop.abort();
  await api.close();
});

const kubelet = (node: string) =>
  api.server.client({ name: `system:node:${node}`, groups: ["system:nodes", "system:authenticated"] }, "kubelet");
const at = (name: string) => ({ name, namespace: "default" });

describe("a kubelet", () => {
  it("reads what its pods need and nothing else", async () => {
    await kubelet("one").get(Secrets, at("needed"));
    await expect(kubelet("one").get(Secrets, at("other"))).rejects.toThrow(
      'secrets "other" is forbidden: User "system:node:one" cannot get resource "secrets" in API group "" in the namespace "default": no relationship found between node "one" and this object',
    );
    await expect(kubelet("one").list(Secrets, { namespace: "default" })).rejects.toThrow("No Object name found");
  });

  it("reads the claims of its pods, those made from templates among them, and writes ResourceSlices of its own devices", async () => {
    const { client } = api;
    const spec = { devices: { requests: [{ name: "r", exactly: { deviceClassName: "c" } }] } };
    for (const name of ["made", "foreign"]) await client.create(ResourceClaims, { metadata: at(name), spec });
    await client.create(Pods, {
      metadata: at("with-device"),
      spec: {
        nodeName: "one",
        containers: [{ name: "main", image: "nginx:1.27" }],
        resourceClaims: [{ name: "it", resourceClaimTemplateName: "t" }],
      },
    } as never);
    const body = { status: { resourceClaimStatuses: [{ name: "it", resourceClaimName: "made" }] } };
    await client.patch(Pods, at("with-device"), { type: "strategic", body }, { subresource: "status" });
    await expect
      .poll(() =>
        kubelet("one")
          .get(ResourceClaims, at("made"))
          .then(() => "read", String),
      )
      .toBe("read");
    await expect(kubelet("one").get(ResourceClaims, at("foreign"))).rejects.toThrow("no relationship found");
    await expect(kubelet("two").get(ResourceClaims, at("made"))).rejects.toThrow("no relationship found");

    const slice = (nodeName: string) => ({
      metadata: { name: `slice-${nodeName}` },
      spec: { driver: "d.example.com", nodeName, pool: { name: "p", generation: 1, resourceSliceCount: 1 } },
    });
    await kubelet("one").create(ResourceSlices, slice("one"));
    await expect(kubelet("one").create(ResourceSlices, slice("two"))).rejects.toThrow(
      "can only create ResourceSlice with the same NodeName as the requesting node",
    );
    await expect
      .poll(() =>
        kubelet("one")
          .get(ResourceSlices, { name: "slice-one" })
          .then(() => "read", String),
      )
      .toBe("read");
    await expect(kubelet("two").delete(ResourceSlices, { name: "slice-one" })).rejects.toThrow("no relationship found");
    await expect(kubelet("one").list(ResourceSlices)).rejects.toThrow(
      "can only list/watch/deletecollection resourceslices with nodeName field selector",
    );
    const ofOne = { fieldSelector: "spec.nodeName=one,spec.driver=d.example.com" };
    expect((await kubelet("one").list(ResourceSlices, ofOne)).items).toHaveLength(1);
    await kubelet("one").deleteCollection(ResourceSlices, ofOne);
  });

  it("reads and writes its own Node alone, and gives it no privileges", async () => {
    const own = await kubelet("one").get(Nodes, { name: "one" });
    await expect(kubelet("one").get(Nodes, { name: "two" })).rejects.toThrow(
      'node "one" cannot read "two", only its own Node object',
    );
    const patch = (name: string, body: object) => kubelet("one").patch(Nodes, { name }, { type: "merge", body });
    await patch("one", { metadata: { labels: { mine: "yes", "kubernetes.io/hostname": "one" } } });
    await expect(patch("two", { metadata: { labels: { mine: "yes" } } })).rejects.toThrow(
      'node "one" is not allowed to modify node "two"',
    );
    await expect(
      patch("one", { metadata: { labels: { "node-restriction.kubernetes.io/tier": "top" } } }),
    ).rejects.toThrow('nodes "one" is forbidden: is not allowed to modify labels: node-restriction.kubernetes.io/tier');
    await expect(patch("one", { spec: { taints: [{ key: "a", effect: "NoSchedule" }] } })).rejects.toThrow(
      'node "one" is not allowed to modify taints',
    );
    expect(own.metadata.name).toBe("one");
  });

  it("makes no pods but mirrors, and ends only its own", async () => {
    const pod = {
      metadata: at("made"),
      spec: { nodeName: "one", containers: [{ name: "main", image: "nginx:1.27" }] },
    };
    await expect(kubelet("one").create(Pods, pod as never)).rejects.toThrow("can only create mirror pods");
    await expect(kubelet("one").delete(Pods, at("on-two"))).rejects.toThrow(
      "can only delete pods with spec.nodeName set to itself",
    );
    await expect(kubelet("one").get(Pods, at("on-two"))).rejects.toThrow("no relationship found");
  });

  it("asks for tokens of its own pods alone", async () => {
    const pod = await api.client.get(Pods, at("on-two"));
    const spec = {
      audiences: [],
      boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "on-two", uid: pod.metadata.uid },
    };
    const ask = (body: object) => kubelet("one").createSubresource(ServiceAccounts, at("default"), "token", body);
    await expect(ask({ spec })).rejects.toThrow("node requested token bound to a pod scheduled on a different node");
    await expect(ask({ spec: { audiences: [] } })).rejects.toThrow("node requested token not bound to a pod");
  });

  it("renews its own lease alone", async () => {
    const lease = (name: string, namespace = "kube-node-lease") =>
      kubelet("one").create(Leases, { metadata: { name, namespace }, spec: {} });
    await expect(lease("two")).rejects.toThrow();
    await expect(lease("one", "default")).rejects.toThrow(
      'can only access leases in the "kube-node-lease" system namespace',
    );
  });
});
