/** Runs in a pod: admission webhooks, a conversion webhook, an aggregated API server, and a look at its own token. No dependencies. */
import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, request } from "node:https";

const [folder, proxyCa] = ["/server", readFileSync("/server/proxy-ca.crt")];
const tls = {
  key: readFileSync(`${folder}/tls.key`),
  cert: readFileSync(`${folder}/tls.crt`),
  ca: proxyCa,
  requestCert: true,
  rejectUnauthorized: false,
};

const add = (path, value) => [{ op: "add", path, value }];
const isBad = (object) => object?.data?.["conscience"] === "bad" || object?.metadata?.labels?.["conscience"] === "bad";
/** By path: what a webhook says to an admission request; an array is a JSON patch, a text a refusal. */
const hooks = {
  "/admit": () => [],
  "/deny": () => "not here",
  "/validate": ({ object }) => (isBad(object) ? "it has a bad conscience" : []),
  "/stage-1": ({ object }) => (object.data?.start ? add("/data/stage-1", "yes") : []),
  "/stage-2": ({ object }) => (object.data?.["stage-1"] ? add("/data/stage-2", "yes") : []),
  "/mark": ({ object }) => add("/metadata/labels", { ...object.metadata.labels, marked: "yes" }),
  "/init-container": ({ object }) =>
    add("/spec/initContainers", [{ name: "first", image: object.spec.containers[0].image }]),
  "/extra-fields": () => [...add("/spec/color", "red"), ...add("/spec/unknown", "x")],
  "/slow": () => new Promise((resolve) => setTimeout(() => resolve([]), 1500)),
  "/never": () => new Promise(() => {}),
};

/** What v1 has, and what v2 calls it. */
const renamed = { rig: "sails", issuer: "issuerRef" };

function convert({ uid, desiredAPIVersion, objects }) {
  const names = Object.entries(renamed).map((pair) => (desiredAPIVersion.endsWith("/v2") ? pair : pair.reverse()));
  const convertedObjects = objects.map(({ spec = {}, ...object }) => {
    const converted = { ...spec };
    for (const [from, to] of names) {
      if (!(from in converted)) continue;
      converted[to] = converted[from];
      delete converted[from];
    }
    return { ...object, apiVersion: desiredAPIVersion, spec: converted };
  });
  return { uid, convertedObjects, result: { status: "Success" } };
}

const group = "wardle.example.com";
const version = `${group}/v1alpha1`;
const flunders = new Map();
const flunder = {
  name: "flunders",
  singularName: "flunder",
  namespaced: true,
  kind: "Flunder",
  verbs: ["create", "delete", "get", "list", "patch"],
};
const fischer = { name: "fischers", singularName: "fischer", namespaced: false, kind: "Fischer", verbs: ["list"] };

/** A little API server: whoever asks was named by the front proxy, or is nobody. */
function wardle(method, path, body, user) {
  if (path === `/apis/${version}`)
    return [200, { kind: "APIResourceList", apiVersion: "v1", groupVersion: version, resources: [flunder, fischer] }];
  const [, namespace, name] = new RegExp(`^/apis/${version}/namespaces/([^/]+)/flunders(?:/(.+))?$`).exec(path) ?? [];
  if (!namespace) return [404, failure(404, "NotFound", "the server could not find the requested resource")];
  const key = `${namespace}/${name ?? body?.metadata?.name}`;
  const missing = [404, failure(404, "NotFound", `flunders.${group} ${JSON.stringify(name)} not found`)];
  if (method === "POST") {
    const object = { ...body, apiVersion: version, kind: "Flunder" };
    object.metadata = { ...body.metadata, namespace, uid: key, resourceVersion: "1", annotations: { "made-by": user } };
    flunders.set(key, object);
    return [201, object];
  }
  if (!name) {
    const items = [...flunders].flatMap(([at, object]) => (at.startsWith(`${namespace}/`) ? [object] : []));
    if (method === "GET")
      return [200, { apiVersion: version, kind: "FlunderList", metadata: { resourceVersion: "1" }, items }];
  }
  const object = flunders.get(key);
  if (!object) return missing;
  if (method === "PATCH") object.metadata.labels = { ...object.metadata.labels, ...body.metadata?.labels };
  if (method === "DELETE") flunders.delete(key);
  return [200, object];
}

function failure(code, reason, message) {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code };
}

const account = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The pod's own token, held against what the API server publishes of its issuer. */
async function ownToken() {
  const token = readFileSync(`${account}/token`, "utf8");
  const ask = (path) =>
    new Promise((resolve, reject) => {
      const options = { ca: readFileSync(`${account}/ca.crt`), headers: { authorization: `Bearer ${token}` } };
      const asking = request(`https://kubernetes.default.svc${path}`, options, async (response) => {
        let text = "";
        for await (const chunk of response) text += chunk;
        resolve(JSON.parse(text));
      });
      asking.once("error", reject);
      asking.end();
    });
  const { issuer, jwks_uri } = await ask("/.well-known/openid-configuration");
  const { keys } = await ask(new URL(jwks_uri).pathname);
  const [head, claims, signature] = token.split(".");
  const { kid, alg } = JSON.parse(Buffer.from(head, "base64url"));
  const key = createPublicKey({ key: keys.find((each) => each.kid === kid), format: "jwk" });
  const options = alg === "ES256" ? { key, dsaEncoding: "ieee-p1363" } : key;
  const { iss, sub } = JSON.parse(Buffer.from(claims, "base64url"));
  const isGenuine = verify("sha256", Buffer.from(`${head}.${claims}`), options, Buffer.from(signature, "base64url"));
  return { isGenuine, isOurIssuer: iss === issuer, sub, namespace: readFileSync(`${account}/namespace`, "utf8") };
}

createServer(tls, async (incoming, response) => {
  const answer = (code, object) =>
    response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(object));
  let text = "";
  for await (const chunk of incoming) text += chunk;
  const body = text ? JSON.parse(text) : undefined;
  const path = incoming.url.split("?")[0];
  try {
    if (path === "/healthz") return answer(200, {});
    if (path === "/own-token") return answer(200, await ownToken());
    if (path === "/convert") return answer(200, { ...body, request: undefined, response: convert(body.request) });
    if (path.startsWith("/apis")) {
      const user = incoming.headers["x-remote-user"];
      if (!incoming.socket.authorized || !user) return answer(401, failure(401, "Unauthorized", "Unauthorized"));
      return answer(...wardle(incoming.method, path, body, user));
    }
    const said = await hooks[path](body.request);
    const { uid } = body.request;
    const refused = { uid, allowed: false, status: { message: said, code: 403 } };
    const patch = { patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(said)).toString("base64") };
    const allowed = { uid, allowed: true, ...(said.length > 0 ? patch : {}) };
    answer(200, {
      apiVersion: body.apiVersion,
      kind: body.kind,
      response: typeof said === "string" ? refused : allowed,
    });
  } catch (error) {
    answer(500, { message: String(error) });
  }
}).listen(8443);
process.on("SIGTERM", () => process.exit(0));
