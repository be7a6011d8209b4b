/** A front proxy with its own authority and name speaks for users; nobody else does. */
import { Agent, request } from "node:https";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../base/node/system-clock.ts";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { clientCertificate, newAuthority, serverCertificate } from "../../testing/webhook-server.ts";
import { selfSubjectReview } from "../reviews/identity-reviews.ts";
import { clientCertificateAuthenticator } from "./client-certificate.ts";
import { defaultRequestHeaders, requestHeaderAuthenticator } from "./request-header.ts";
import { TrustedAuthorities } from "./trusted-authorities.ts";

let api: TestApiServer;
let url: string;
// One connection an identity, used again.
let agent = new Agent({ keepAlive: true });
const clients = new TrustedAuthorities();
const proxies = new TrustedAuthorities();
const people: Record<string, Awaited<ReturnType<typeof clientCertificate>> | undefined> = {};

beforeAll(async () => {
  api = await startTestApiServer({
    authenticators: [
      requestHeaderAuthenticator({ authorities: proxies, allowedNames: ["front"], ...defaultRequestHeaders }),
      clientCertificateAuthenticator(clients),
    ],
    authorizers: [{ name: "all", authorize: () => ({ kind: "allow" }) }],
    virtualResources: [selfSubjectReview(systemClock)],
  });
  const proxyCa = newAuthority();
  clients.replace(api.pki.ca.certificatePem);
  proxies.replace(proxyCa.certificatePem);
  const { key, cert } = { key: api.pki.apiServer.privateKeyPem, cert: api.pki.apiServer.certificatePem };
  const clientCa = [api.pki.ca.certificatePem, proxyCa.certificatePem];
  const { port } = await api.server.listen({ key, cert, clientCa, host: "127.0.0.1" });
  url = `https://127.0.0.1:${port}`;
  people["proxy"] = clientCertificate(proxyCa, "front");
  people["otherProxy"] = clientCertificate(proxyCa, "somebody");
  people["user"] = clientCertificate(api.pki.ca, "front", "devs");
  people["server"] = serverCertificate(proxyCa, ["front"]);
});
afterAll(() => {
  agent.destroy();
  return api.close();
});

interface Identity {
  username: string;
  groups: string[];
  uid?: string;
  extra?: Record<string, string[]>;
}

function whoAmI(who: string, headers: Record<string, string | string[]>): Promise<Identity> {
  const body = JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" });
  return new Promise((resolve, reject) => {
    const asking = request(`${url}/apis/authentication.k8s.io/v1/selfsubjectreviews`, {
      method: "POST",
      agent,
      ca: api.pki.ca.certificatePem,
      cert: people[who]?.certificatePem,
      key: people[who]?.privateKeyPem,
      headers: { "content-type": "application/json", ...headers },
    });
    asking.once("error", reject);
    asking.once("response", async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
      const answer = JSON.parse(Buffer.concat(chunks).toString()) as { status: { userInfo: Identity } };
      resolve(answer.status.userInfo);
    });
    asking.end(body);
  });
}

const headers = {
  "X-Remote-User": "jane",
  "X-Remote-Uid": "7",
  "X-Remote-Group": ["devs", "ops"],
  "X-Remote-Extra-Example.com%2fScope": "all",
};

test("a proxy's word counts: user, uid, groups and extras", async () => {
  expect(await whoAmI("proxy", headers)).toEqual({
    username: "jane",
    uid: "7",
    groups: ["devs", "ops", "system:authenticated"],
    extra: { "example.com/scope": ["all"] },
  });
});

test("each request over a proxy's connection is its own user's", async () => {
  const names = [];
  for (const name of ["jane", "", "joe"]) names.push((await whoAmI("proxy", { "X-Remote-User": name })).username);
  expect(names).toEqual(["jane", "system:anonymous", "joe"]);
});

test("a certificate of another name, of users' authority, for serving, or none does not speak for anybody", async () => {
  const said: Record<string, string> = {};
  for (const who of ["otherProxy", "user", "server", "nobody"]) said[who] = (await whoAmI(who, headers)).username;
  expect(said).toEqual({
    otherProxy: "system:anonymous",
    user: "front",
    server: "system:anonymous",
    nobody: "system:anonymous",
  });
});

test("an authority that was replaced lets nobody in, and cuts who is connected", async () => {
  const other = newAuthority();
  expect((await whoAmI("user", {})).username).toBe("front");
  clients.replace(other.certificatePem);
  api.server.renewCertificates(
    {
      key: api.pki.apiServer.privateKeyPem,
      cert: api.pki.apiServer.certificatePem,
      clientCa: other.certificatePem,
    },
    (certificate) => clients.vouchFor(certificate),
  );
  agent.destroy();
  agent = new Agent({ keepAlive: true });
  expect((await whoAmI("user", {})).username).toBe("system:anonymous");
  people["newcomer"] = clientCertificate(other, "newcomer");
  expect((await whoAmI("newcomer", {})).username).toBe("newcomer");
});
