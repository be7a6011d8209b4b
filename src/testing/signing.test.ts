/** CertificateSigningRequests from their makers to their signers: who is approved by itself, what is signed and what is not. */
import { webcrypto, X509Certificate } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CertificateSigningRequest } from "../api/certificates/v1.ts";
import { CertificateSigningRequests } from "../api/resources.ts";
import { accessReviews } from "../apiserver-plugins/reviews/access-reviews.ts";
import { silentLogger } from "../base/logger.ts";
import { signCertificateRequest } from "../base/node/certificate-request.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { systemRandom } from "../base/node/system-random.ts";
import { controllerCatalog } from "../controller-manager/catalog.ts";
import { runControllers } from "../controller-runtime/run-controllers.ts";
import { startTestApiServer, type TestApiServer } from "./api-server.ts";
import { newAuthority } from "./webhook-server.ts";
import { x509 } from "./x509.ts";

let api: TestApiServer;
const stop = new AbortController();

beforeAll(async () => {
  api = await startTestApiServer({
    authorizers: [
      {
        name: "Test",
        // A joiner may ask for any node, a node for itself, and admins for all.
        authorize: ({ user, subresource }) => {
          const may =
            user.groups.includes("system:masters") ||
            !["nodeclient", "selfnodeclient"].includes(subresource) ||
            (subresource === "nodeclient" && user.name === "joiner") ||
            (subresource === "selfnodeclient" && user.groups.includes("system:nodes"));
          return may ? { kind: "allow", reason: "" } : { kind: "no-opinion", reason: "" };
        },
      },
    ],
    virtualResources: (access) => accessReviews(() => access.pipeline.authorizers),
    admission: () => [
      {
        name: "CertificateRequester",
        handles: ({ operation, definition }) =>
          operation === "CREATE" && definition.plural === "certificatesigningrequests",
        mutate: ({ object, user }) => {
          const { spec } = object as CertificateSigningRequest;
          spec.username = user.name;
          spec.groups = [...user.groups];
        },
      },
    ],
  });
  const ca = newAuthority();
  const controllers = controllerCatalog({
    discover: async () => ({ resources: [], failures: [] }),
    signCertificate: (request) =>
      signCertificateRequest({
        ...request,
        caCertificatePem: ca.certificatePem,
        caPrivateKeyPem: ca.privateKeyPem,
        random: systemRandom,
      }),
  }).filter(({ name }) => name.startsWith("certificatesigningrequest-"));
  const running = runControllers(controllers, {
    client: api.client,
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    signal: stop.signal,
  });
  await running.ready;
});

afterAll(async () => {
  stop.abort();
  await api.close();
});

interface Asked {
  subject?: string;
  names?: { type: "dns" | "ip"; value: string }[];
  usages?: string[];
  expirationSeconds?: number;
}

async function pemOf({ subject = "O=system:nodes, CN=system:node:one", names = [] }: Asked): Promise<string> {
  const { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } = await x509();
  const signingAlgorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ["sign", "verify"]);
  const extensions = names.length > 0 ? [new SubjectAlternativeNameExtension(names)] : [];
  const request = await Pkcs10CertificateRequestGenerator.create({ name: subject, keys, signingAlgorithm, extensions });
  return `${request.toString("pem")}\n`;
}

const clientUsages = ["client auth", "digital signature"];
const servingUsages = ["server auth", "digital signature"];

async function ask(user: string, signer: string, asked: Asked = {}, pem?: string): Promise<string> {
  const groups = ["system:authenticated", ...(user.startsWith("system:node:") ? ["system:nodes"] : [])];
  const { usages = clientUsages, expirationSeconds } = asked;
  const { metadata } = await api.server.client({ name: user, groups }, "test").create(CertificateSigningRequests, {
    metadata: { generateName: "csr-" },
    spec: {
      request: Buffer.from(pem ?? (await pemOf(asked))).toString("base64"),
      signerName: `kubernetes.io/${signer}`,
      usages,
      ...(expirationSeconds ? { expirationSeconds } : {}),
    },
  } as never);
  return metadata.name;
}

async function approve(name: string): Promise<void> {
  const request = structuredClone(
    await api.client.get(CertificateSigningRequests, { name }),
  ) as CertificateSigningRequest;
  request.status = { conditions: [{ type: "Approved", status: "True", reason: "Test", message: "yes" }] };
  await api.client.updateSubresource(CertificateSigningRequests, { name }, "approval", request);
}

const read = (name: string) => api.client.get(CertificateSigningRequests, { name });
const conditionsOf = async (name: string) =>
  (await read(name)).status?.conditions?.map(({ type, reason, message }) => `${type} ${reason}: ${message}`);

test("annotations of a verdict come with it, and what was asked for stays", async () => {
  const name = await ask("system:node:a", "kubelet-serving", {});
  const { spec } = await read(name);
  const request = structuredClone(await read(name)) as CertificateSigningRequest;
  request.metadata.annotations = { why: "known" };
  request.spec.usages = ["any"];
  request.status = { conditions: [{ type: "Example", status: "True" }] };
  await api.client.updateSubresource(CertificateSigningRequests, { name }, "approval", request);
  expect(await read(name)).toMatchObject({
    metadata: { annotations: { why: "known" } },
    spec,
    status: { conditions: [{ type: "Example" }] },
  });
});

async function issued(name: string): Promise<X509Certificate> {
  await expect.poll(async () => (await read(name)).status?.certificate).toBeTruthy();
  return new X509Certificate(Buffer.from((await read(name)).status!.certificate!, "base64"));
}

test("kubelets are approved by themselves: those of a joiner, and those that come again in their own name", async () => {
  const signer = "kube-apiserver-client-kubelet";
  const first = await ask("joiner", signer);
  const again = await ask("system:node:one", signer);
  const foreign = await ask("system:node:two", signer);
  expect((await issued(first)).subject).toBe("O=system:nodes\nCN=system:node:one");
  await issued(again);
  expect(await conditionsOf(first)).toEqual([
    "Approved AutoApproved: Auto approving kubelet client certificate after SubjectAccessReview.",
  ]);
  expect(await conditionsOf(again)).toEqual([
    "Approved AutoApproved: Auto approving self kubelet client certificate after SubjectAccessReview.",
  ]);
  // In another's name: nobody may.
  expect(await conditionsOf(foreign)).toBeUndefined();
});

test("a kubelet's door gets its certificate when somebody has approved it, for its names and for servers alone", async () => {
  const names = [
    { type: "dns" as const, value: "one.example.com" },
    { type: "ip" as const, value: "10.0.0.7" },
  ];
  const door = await ask("system:node:one", "kubelet-serving", { names, usages: servingUsages });
  const client = await ask("system:node:one", "kubelet-serving", { names, usages: clientUsages });
  await approve(client);
  await expect
    .poll(() => conditionsOf(client))
    .toEqual([
      "Approved Test: yes",
      "Failed SignerValidationFailure: usages did not match [digital signature key encipherment server auth]",
    ]);
  expect(await conditionsOf(door)).toBeUndefined();
  await approve(door);
  const certificate = await issued(door);
  expect(certificate.subjectAltName).toBe("DNS:one.example.com, IP Address:10.0.0.7");
  expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  expect(certificate.ca).toBe(false);
});

test("a client's certificate lives as long as was asked for, and never longer than its authority", async () => {
  const subject = "O=dev, CN=jane";
  const hours = (certificate: X509Certificate) =>
    Math.round((Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / 60_000);
  const short = await ask("jane", "kube-apiserver-client", { subject, expirationSeconds: 3600 });
  const long = await ask("jane", "kube-apiserver-client", { subject, expirationSeconds: 36_000 });
  const endless = await ask("jane", "kube-apiserver-client", { subject, expirationSeconds: 2 ** 31 - 1 });
  for (const name of [short, long, endless]) await approve(name);
  // Five minutes lie before it was signed, so that clocks may differ; of a long life they are a part.
  expect(hours(await issued(short))).toBe(65);
  expect(hours(await issued(long))).toBe(600);
  expect(hours(await issued(endless))).toBeLessThanOrEqual(365 * 24 * 60);
  const wrong = await ask("jane", "kube-apiserver-client", { subject, usages: ["code signing"] });
  await approve(wrong);
  await expect
    .poll(() => conditionsOf(wrong))
    .toContain("Failed SignerValidationFailure: invalid usage for client certificate: code signing");
});

test("a signer of somebody else's says what came of a request; the verdict stands however it is repeated", async () => {
  const name = await ask("jane", "kube-apiserver-client", {});
  const other = await api.client.create(CertificateSigningRequests, {
    metadata: { name: `${name}-other` },
    spec: {
      ...(structuredClone(await read(name)) as CertificateSigningRequest).spec,
      signerName: "example.com/signer",
    },
  });
  await approve(other.metadata.name);
  const request = structuredClone(await read(other.metadata.name)) as CertificateSigningRequest;
  const [approved] = structuredClone(request.status!.conditions!);
  request.status!.conditions = [
    { type: "Approved", status: "True", message: "told otherwise" },
    { type: "Failed", status: "True", reason: "Mood" },
  ];
  await api.client.updateStatus(CertificateSigningRequests, request);
  const [kept, failed] = (await read(other.metadata.name)).status!.conditions!;
  expect(kept).toEqual(approved);
  expect(failed).toMatchObject({ lastUpdateTime: expect.any(String), lastTransitionTime: expect.any(String) });
});

test("requests that nobody could sign are refused as they come", async () => {
  const refused = (signer: string, pem?: string) =>
    ask("jane", signer, {}, pem).then(
      () => "taken",
      (error: Error) => error.message.replace(/^.* is invalid: /s, "").replace(/Invalid value: "[^"]{20,}"/, "…"),
    );
  const good = await pemOf({});
  const [head = "", ...body] = good.trim().split("\n");
  const der = Buffer.from(body.slice(0, -1).join(""), "base64");
  // One bit of the name: what was signed is something else.
  const at = der.indexOf("system:node:one");
  der[at + 14]! ^= 1;
  const forged = `${head}\n${der.toString("base64").replace(/.{64}/g, "$&\n").trim()}\n${body.at(-1)}\n`;
  expect(await refused("kube-apiserver-client", forged)).toBe("spec.request: …: x509: ECDSA verification failure");
  expect(await refused("kube-apiserver-client", good.replaceAll("CERTIFICATE REQUEST", "CERTIFICATE"))).toBe(
    "spec.request: …: PEM block type must be CERTIFICATE REQUEST",
  );
  expect(await refused("kube-apiserver-client", `${head}\nAAAA\n${body.at(-1)}\n`)).toContain("asn1");
  expect(await refused("legacy-unknown")).toBe(
    "spec.signerName: …: the legacy signerName is not allowed via this API version",
  );
});
