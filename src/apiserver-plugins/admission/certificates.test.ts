/** CertificateApproval and CertificateSigning: nobody decides for a signer but who may, and what was asked for is its sender's. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CertificateSigningRequest } from "../../api/certificates/v1.ts";
import { CertificateSigningRequests } from "../../api/resources.ts";
import { createCertificateRequest } from "../../base/node/certificate-request.ts";
import type { TestApiServer } from "../../testing/api-server.ts";
import { startPolicyServer } from "../../testing/policy-server.ts";

let api: TestApiServer;
let request: string;

beforeAll(async () => {
  api = await startPolicyServer({
    authorizers: [
      {
        name: "Test",
        // The clerk approves for one signer and signs for all of a domain.
        authorize: ({ user, resource, verb, name }) => {
          const isDecision = resource === "signers" && !user.groups.includes("system:masters");
          const may = ["approve example.com/one", "sign example.com/*"].includes(`${verb} ${name}`);
          return { kind: !isDecision || (user.name === "clerk" && may) ? "allow" : "no-opinion", reason: "" };
        },
      },
    ],
  });
  const { requestPem } = createCertificateRequest({ commonName: "jane" });
  request = Buffer.from(requestPem).toString("base64");
});
afterAll(() => api.close());

const as = (name: string) => api.server.client({ name, groups: ["system:authenticated"], uid: `uid-${name}` }, "test");

async function asked(signerName: string): Promise<CertificateSigningRequest> {
  const spec = { request, signerName, usages: ["client auth"], username: "root", groups: ["system:masters"] };
  const metadata = { generateName: "csr-" };
  const made = await as("jane").create(CertificateSigningRequests, { metadata, spec } as never);
  return structuredClone(made) as CertificateSigningRequest;
}

const approved = (made: CertificateSigningRequest) => ({
  ...made,
  status: { conditions: [{ type: "Approved", status: "True", reason: "Test", message: "yes" }] },
});

const decide = (who: string, made: CertificateSigningRequest) =>
  as(who).updateSubresource(CertificateSigningRequests, { name: made.metadata.name }, "approval", approved(made));

test("a request is its sender's, whatever it says", async () => {
  const { spec } = await asked("example.com/one");
  expect(spec).toMatchObject({ username: "jane", uid: "uid-jane", groups: ["system:authenticated"] });
});

test("who may approve for one signer approves for no other, and its sender for none", async () => {
  const [one, two] = [await asked("example.com/one"), await asked("example.com/two")];
  await expect(decide("jane", one)).rejects.toThrow(
    `certificatesigningrequests.certificates.k8s.io "${one.metadata.name}" is forbidden: user not permitted to approve requests with signerName "example.com/one"`,
  );
  await expect(decide("clerk", two)).rejects.toThrow(
    'user not permitted to approve requests with signerName "example.com/two"',
  );
  await decide("clerk", one);
});

test("who may sign for a domain signs for all of it, and for nobody else's", async () => {
  const failed = (made: CertificateSigningRequest) => ({
    ...made,
    status: { conditions: [{ type: "Failed", status: "True", reason: "Test", message: "no" }] },
  });
  const [ours, foreign] = [await asked("example.com/two"), await asked("example.org/one")];
  await expect(as("clerk").updateStatus(CertificateSigningRequests, failed(foreign))).rejects.toThrow(
    'user not permitted to sign requests with signerName "example.org/one"',
  );
  await as("clerk").updateStatus(CertificateSigningRequests, failed(ours));
});
