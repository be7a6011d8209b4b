import { describe, expect, test } from "vitest";
import type { CertificateRequestFacts } from "../../../base/node/certificate-request.ts";
import { removalMs } from "../certificatesigningrequest-controllers.ts";
import { signers } from "./signers.ts";

const node: CertificateRequestFacts = {
  commonName: "system:node:one",
  organizations: ["system:nodes"],
  dnsNames: [],
  ipAddresses: [],
  emails: [],
  uris: [],
};
const serving = { ...node, dnsNames: ["one"] };
const client = ["client auth", "digital signature"];
const server = ["server auth", "digital signature"];
const clients = "kubernetes.io/kube-apiserver-client";
const kubelets = "kubernetes.io/kube-apiserver-client-kubelet";
const doors = "kubernetes.io/kubelet-serving";

test.each<[string, string, CertificateRequestFacts, string[], string | undefined]>([
  ["signs clients", clients, node, ["client auth"], undefined],
  ["signs clients for all that clients do", clients, node, [...client, "key encipherment"], undefined],
  [
    "signs no server as a client",
    clients,
    node,
    ["client auth", "server auth"],
    "invalid usage for client certificate: server auth",
  ],
  [
    "signs no client that is none",
    clients,
    node,
    ["digital signature"],
    "missing required usage for client certificate: client auth",
  ],
  ["signs kubelets", kubelets, node, client, undefined],
  ["signs kubelets with keys that encipher", kubelets, node, [...client, "key encipherment"], undefined],
  [
    "signs nobody else as a kubelet",
    kubelets,
    { ...node, organizations: ["ops"] },
    client,
    "subject organization is not system:nodes",
  ],
  [
    "signs no kubelet that is in other groups too",
    kubelets,
    { ...node, organizations: ["system:nodes", "system:masters"] },
    client,
    "subject organization is not system:nodes",
  ],
  [
    "signs no kubelet by another name",
    kubelets,
    { ...node, commonName: "one" },
    client,
    "subject common name does not begin with system:node:",
  ],
  ["signs no kubelet with names", kubelets, serving, client, "DNS subjectAltNames are not allowed"],
  [
    "signs no kubelet with addresses",
    kubelets,
    { ...node, ipAddresses: ["10.0.0.1"] },
    client,
    "IP subjectAltNames are not allowed",
  ],
  [
    "signs no kubelet with mail",
    kubelets,
    { ...node, emails: ["a@b.c"] },
    client,
    "Email subjectAltNames are not allowed",
  ],
  [
    "signs no kubelet with an address of the web",
    kubelets,
    { ...node, uris: ["spiffe://a"] },
    client,
    "URI subjectAltNames are not allowed",
  ],
  [
    "signs no kubelet as a server",
    kubelets,
    node,
    server,
    "usages did not match [client auth digital signature key encipherment]",
  ],
  ["signs kubelets' doors", doors, serving, server, undefined],
  [
    "signs kubelets' doors at addresses",
    doors,
    { ...node, ipAddresses: ["10.0.0.1"] },
    [...server, "key encipherment"],
    undefined,
  ],
  [
    "signs no door of nobody's",
    doors,
    { ...serving, organizations: [] },
    server,
    "subject organization is not system:nodes",
  ],
  ["signs no door that is nowhere", doors, node, server, "DNS or IP subjectAltName is required"],
  [
    "signs no door with mail",
    doors,
    { ...serving, emails: ["a@b.c"] },
    server,
    "Email subjectAltNames are not allowed",
  ],
  [
    "signs no door with an address of the web",
    doors,
    { ...serving, uris: ["spiffe://a"] },
    server,
    "URI subjectAltNames are not allowed",
  ],
  [
    "signs no door as a client",
    doors,
    serving,
    client,
    "usages did not match [digital signature key encipherment server auth]",
  ],
  [
    "signs no door of another name",
    doors,
    { ...serving, commonName: "one" },
    server,
    "subject common name does not begin with system:node:",
  ],
  [
    "signs what came of old",
    "kubernetes.io/legacy-unknown",
    { ...serving, commonName: "x" },
    ["code signing"],
    undefined,
  ],
])("a signer %s", (_what, signer, facts, usages, problem) => {
  expect(signers[signer]!(facts, usages)).toBe(problem);
});

describe("the cleaner", () => {
  const hour = 3_600_000;
  const made = Date.UTC(2026, 0, 1);
  const at = (ms: number) => new Date(made + ms).toISOString();
  const request = (status: object) =>
    ({ metadata: { name: "r", creationTimestamp: at(0) }, spec: {}, status }) as unknown as Parameters<
      typeof removalMs
    >[0];
  const said = (type: string, ms: number) => ({ type, status: "True", lastUpdateTime: at(ms) });
  const age = (status: object) => {
    const dueMs = removalMs(request(status));
    return dueMs === undefined ? undefined : (dueMs - made) / hour;
  };

  test("lets unanswered requests wait for a day, and answered ones be read for an hour", () => {
    expect(age({})).toBe(24);
    expect(age({ conditions: [said("Denied", 2 * hour)] })).toBe(3);
    expect(age({ conditions: [said("Approved", hour), said("Failed", 2 * hour)] })).toBe(3);
    expect(age({ conditions: [said("Approved", 5 * hour)], certificate: "bm9uZQ==" })).toBe(6);
  });

  test("leaves an approved request alone until somebody signs it", () => {
    expect(age({ conditions: [said("Approved", 0)] })).toBeUndefined();
  });
});
