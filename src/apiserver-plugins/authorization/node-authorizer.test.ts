import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CertificateSigningRequests,
  CSIDrivers,
  Leases,
  Nodes,
  PersistentVolumeClaims,
  PersistentVolumes,
  Pods,
  ResourceClaims,
  ResourceSlices,
  Secrets,
  ServiceAccounts,
  VolumeAttachments,
} from "../../api/resources.ts";
import { silentLogger } from "../../base/logger.ts";
import { createCertificateRequest } from "../../base/node/certificate-request.ts";
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

  it("makes mirrors that are its Node's and need nothing of the API", async () => {
    const { uid } = (await api.client.get(Nodes, { name: "one" })).metadata;
    const owner = { apiVersion: "v1", kind: "Node", name: "one", uid, controller: true };
    const mirror = (spec: object = {}, owners: object[] = [owner]) =>
      kubelet("one").create(
        Pods,
        {
          metadata: {
            ...at("mirror"),
            annotations: { "kubernetes.io/config.mirror": "x" },
            ownerReferences: owners,
          },
          spec: { nodeName: "one", containers: [{ name: "main", image: "nginx:1.27" }], ...spec },
        } as never,
        { dryRun: true },
      );
    await mirror();
    await expect(mirror({}, [])).rejects.toThrow(
      'node "one" can only create pods with an owner reference set to itself',
    );
    await expect(mirror({}, [owner, { ...owner, kind: "Pod", controller: false }])).rejects.toThrow(
      "with a single owner reference set to itself",
    );
    await expect(mirror({}, [{ ...owner, controller: false }])).rejects.toThrow(
      "with a controller owner reference set to itself",
    );
    await expect(mirror({}, [{ ...owner, blockOwnerDeletion: true }])).rejects.toThrow(
      'node "one" must not set blockOwnerDeletion on an owner reference',
    );
    await expect(mirror({}, [{ ...owner, uid: "other" }])).rejects.toThrow(
      `node one UID mismatch: expected ${uid} got other`,
    );
    const needs: [string, object][] = [
      ["secrets", { imagePullSecrets: [{ name: "needed" }] }],
      ["configmaps", { volumes: [{ name: "v", configMap: { name: "c" } }] }],
      ["resourceclaims", { resourceClaims: [{ name: "it", resourceClaimName: "made" }] }],
      ["persistentvolumeclaims", { volumes: [{ name: "v", persistentVolumeClaim: { claimName: "c" } }] }],
      ["csidrivers", { volumes: [{ name: "v", csi: { driver: "d.example.com" } }] }],
    ];
    for (const [what, spec] of needs)
      await expect(mirror(spec), what).rejects.toThrow(`node "one" can not create pods that reference ${what}`);
    // What the ServiceAccount plugin, which comes first, has looked at.
    await expect(mirror({ serviceAccountName: "default" })).rejects.toThrow("may not reference service accounts");
  });

  it("lists its own pods alone, and tells of its pods' status without giving them claims or labels", async () => {
    const of = (node: string) => ({ fieldSelector: `spec.nodeName=${node}` });
    const all = "can only list/watch pods with spec.nodeName field selector";
    await expect(kubelet("one").list(Pods)).rejects.toThrow(all);
    await expect(kubelet("one").list(Pods, of("two"))).rejects.toThrow(all);
    expect((await kubelet("one").list(Pods, of("one"))).items.length).toBeGreaterThan(0);
    const tell = (name: string, body: object) =>
      kubelet("one").patch(Pods, at(name), { type: "merge", body }, { subresource: "status" });
    await tell("on-one", { status: { phase: "Running" } });
    await expect(tell("on-two", { status: { phase: "Running" } })).rejects.toThrow(
      "can only update pod status for pods with spec.nodeName set to itself",
    );
    await expect(tell("on-one", { metadata: { labels: { a: "b" } } })).rejects.toThrow(
      "cannot update labels through pod status",
    );
    const claims = [{ name: "it", resourceClaimName: "foreign" }];
    await expect(tell("with-device", { status: { resourceClaimStatuses: claims } })).rejects.toThrow(
      "cannot update resource claim statues",
    );
  });

  it("reads attachments of its node and Secrets of its pods' volumes, and writes claims' sizes alone", async () => {
    const { client } = api;
    const driver = "csi.example.com";
    for (const name of ["one", "two"])
      await client.create(VolumeAttachments, {
        metadata: { name: `to-${name}` },
        spec: { attacher: driver, nodeName: name, source: { persistentVolumeName: "disk" } },
      } as never);
    await client.create(Secrets, { metadata: at("of-disk") });
    const size = { storage: "1Gi" };
    await client.create(PersistentVolumes, {
      metadata: { name: "disk" },
      spec: {
        capacity: size,
        accessModes: ["ReadWriteOnce"],
        csi: { driver, volumeHandle: "h", nodeStageSecretRef: at("of-disk") },
      },
    } as never);
    const spec = {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: size },
      volumeName: "disk",
      storageClassName: "",
    };
    for (const name of ["disk", "other"])
      await client.create(PersistentVolumeClaims, { metadata: at(name), spec } as never);
    await client.create(Pods, {
      metadata: at("with-disk"),
      spec: {
        nodeName: "one",
        containers: [{ name: "main", image: "nginx:1.27" }],
        volumes: [{ name: "v", persistentVolumeClaim: { claimName: "disk" } }],
      },
    } as never);
    const answer = (asked: Promise<unknown>) =>
      asked.then(
        () => "read",
        (error: Error) => error.message,
      );
    await expect.poll(() => answer(kubelet("one").get(Secrets, at("of-disk")))).toBe("read");
    expect(await answer(kubelet("one").get(VolumeAttachments, { name: "to-one" }))).toBe("read");
    expect(await answer(kubelet("one").get(VolumeAttachments, { name: "to-two" }))).toContain("no relationship found");
    expect(await answer(kubelet("two").get(Secrets, at("of-disk")))).toContain("no relationship found");
    const tell = (name: string, body: object) =>
      kubelet("one").patch(PersistentVolumeClaims, at(name), { type: "merge", body }, { subresource: "status" });
    await tell("disk", { status: { capacity: size } });
    await expect(tell("disk", { status: { phase: "Lost" } })).rejects.toThrow(
      'node "one" is not allowed to update fields other than status.quantity and status.conditions',
    );
    await expect(tell("other", { status: { capacity: size } })).rejects.toThrow("no relationship found");
  });

  it("asks for certificates in its own name, and joins without labels that are not its to give", async () => {
    const ask = async (commonName: string) => {
      const { requestPem } = createCertificateRequest({ commonName, organizations: ["system:nodes"] });
      return kubelet("one").create(CertificateSigningRequests, {
        metadata: { generateName: "csr-" },
        spec: {
          request: Buffer.from(requestPem).toString("base64"),
          signerName: "kubernetes.io/kube-apiserver-client-kubelet",
          usages: ["client auth", "digital signature"],
        },
      } as never);
    };
    await ask("system:node:one");
    await expect(ask("system:node:two")).rejects.toThrow("can only create a node CSR with CN=system:node:one");
    const labels = { "node-role.kubernetes.io/control-plane": "", "example.com/ours": "yes" };
    await expect(
      kubelet("four").create(Nodes, { metadata: { name: "four", labels }, spec: {} } as never),
    ).rejects.toThrow('node "four" is not allowed to set the following labels: node-role.kubernetes.io/control-plane');
  });

  it("asks for audiences that its pod names, or that it was given", async () => {
    const { client } = api;
    const { metadata } = await client.create(Pods, {
      metadata: at("with-vault"),
      spec: {
        nodeName: "one",
        containers: [{ name: "main", image: "nginx:1.27" }],
        volumes: [
          { name: "t", projected: { sources: [{ serviceAccountToken: { path: "t", audience: "vault" } }] } },
          { name: "c", csi: { driver: "tokens.example.com" } },
        ],
      },
    } as never);
    await client.create(CSIDrivers, {
      metadata: { name: "tokens.example.com" },
      spec: { attachRequired: false, volumeLifecycleModes: ["Ephemeral"], tokenRequests: [{ audience: "cloud" }] },
    } as never);
    const ask = (...audiences: string[]) => {
      const boundObjectRef = { apiVersion: "v1", kind: "Pod", name: "with-vault", uid: metadata.uid };
      const body = { spec: { audiences, boundObjectRef } };
      return kubelet("one").createSubresource(ServiceAccounts, at("default"), "token", body);
    };
    await expect.poll(() => ask("vault").then(() => "given", String)).toBe("given");
    await ask("cloud");
    await ask(); // The volume that every pod has.
    await expect(ask("bank")).rejects.toThrow(
      'audience "bank" not found in pod spec volume, system:node:one is not authorized to request tokens for this audience',
    );
    await expect(ask("vault", "cloud")).rejects.toThrow("node may only request 0 or 1 audiences");
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
