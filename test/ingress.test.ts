/** Ingresses asked from outside the cluster, through the nginx of its nodes. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

const app = (name: string) => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  replicas: 1
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      containers:
      - { name: echo, image: "pinnace.local/echo:1", ports: [{ name: http, containerPort: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { selector: { app: ${name} }, ports: [{ name: http, port: 80, targetPort: http }] }
---`;

const ingress = (name: string, spec: string) => `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: ${name} }
spec: ${spec}
---`;

const to = (path: string, type: string, service: string) =>
  `{ path: ${path}, pathType: ${type}, backend: { service: { name: ${service}, port: { number: 80 } } } }`;

describeCluster("ingress", { nodes: 2 }, (cluster) => {
  let knownAddress = "";
  /** Stays the same once there is one. */
  const address = async () => {
    knownAddress ||= (await cluster.kubectl`get ingress web -o jsonpath={.status.loadBalancer.ingress[0].ip}`).trim();
    return knownAddress;
  };
  /** The status code, and the pod that answered. */
  const ask = async (url: string, ...more: string[]) => {
    const ip = await address();
    const { host, protocol } = new URL(url);
    const port = protocol === "https:" ? 443 : 80;
    const resolve = `${host}:${port}:${ip}`;
    const options = ["-s", "-m", "5", "--noproxy", "*", "--resolve", resolve, "-w", " %{http_code}", ...more];
    const text = await cluster.host("curl", ...options, url).catch((error: Error) => `no answer: ${error.message}`);
    const [, pod] = /Hello, (\w+)-/.exec(text) ?? [];
    return `${pod ?? "nobody"} ${text.trim().slice(-3)}`;
  };
  const becomes = (url: string, answer: string, ...more: string[]) =>
    eventually(
      () => ask(url, ...more),
      (is) => expect(is).toBe(answer),
    );

  test("hosts and paths lead to Services, with a status and an event", async () => {
    await cluster.apply(
      `${app("web")}${app("api")}${ingress(
        "web",
        `{ rules: [{ host: web.example, http: { paths: [${to("/", "Prefix", "web")}, ${to("/api", "Prefix", "api")}, ${to("/only", "Exact", "api")}, ${to("/gone", "Exact", "gone")}] } }, { host: "*.wild.example", http: { paths: [${to("/", "ImplementationSpecific", "api")}] } }] }`,
      )}`,
    );
    for (const name of ["web", "api"]) await cluster.kubectl`rollout status deployment/${name} --timeout=60s`;
    await eventually(address, (ip) => expect(ip).not.toBe(""));
    await becomes("http://web.example/", "web 200");
    await becomes("http://web.example/api", "api 200");
    expect(await ask("http://web.example/api/v1")).toBe("api 200");
    expect(await ask("http://web.example/apiary")).toBe("web 200");
    expect(await ask("http://web.example/only")).toBe("api 200");
    expect(await ask("http://web.example/only/not")).toBe("web 200");
    expect(await ask("http://web.example/gone")).toBe("nobody 503");
    expect(await ask("http://a.wild.example/")).toBe("api 200");
    expect(await ask("http://a.b.wild.example/")).toBe("nobody 404");
    expect(await ask("http://unknown.example/")).toBe("nobody 404");
    expect(await cluster.kubectl`get ingress web`).toMatch(/web +nginx +web\.example,\*\.wild\.example +[\d.,]+ +80 /);
    await eventually(
      () => cluster.kubectl`describe ingress web`,
      (text) => expect(text).toContain('Service "default/gone" does not exist'),
    );
  });

  test("TLS with the certificate of a Secret, chosen by name, and a redirect to it", async () => {
    const file = (name: string) => join(cluster.home, name);
    const subject = ["-subj", "/CN=shop.example", "-addext", "subjectAltName=DNS:shop.example"];
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "30",
        ...subject,
      ].concat(["-keyout", file("tls.key"), "-out", file("tls.crt")]),
      { stdio: "ignore" },
    );
    const tls = `{ tls: [{ hosts: [shop.example], secretName: shop }, { hosts: [bare.example] }], rules: [{ host: shop.example, http: { paths: [${to("/", "Prefix", "web")}] } }, { host: bare.example, http: { paths: [${to("/", "Prefix", "api")}] } }] }`;
    await cluster.apply(ingress("shop", tls));
    // Until the Secret is there, a certificate that nobody trusts.
    await becomes("https://shop.example/", "web 200", "-k");
    expect(await ask("https://shop.example/", "--cacert", file("tls.crt"))).toContain("nobody");
    await cluster.kubectl`create secret tls shop --cert=${file("tls.crt")} --key=${file("tls.key")}`;
    await becomes("https://shop.example/", "web 200", "--cacert", file("tls.crt"));
    expect(await ask("https://bare.example/", "-k")).toBe("api 200");
    expect(await ask("http://shop.example/")).toBe("nobody 308");
    expect(readFileSync(file("tls.crt"), "utf8")).toContain("CERTIFICATE");
  });

  test("a default backend takes the rest, and one Ingress that nginx refuses keeps no other away", async () => {
    await cluster.apply(
      `${ingress("rest", "{ defaultBackend: { service: { name: api, port: { name: http } } } }")}${ingress(
        "broken",
        `{ rules: [{ host: broken.example, http: { paths: [${to('"/("', "ImplementationSpecific", "web")}] } }] }`,
      )}`,
    );
    await cluster.kubectl`annotate ingress broken nginx.ingress.kubernetes.io/use-regex=true`;
    await becomes("http://unknown.example/whatever", "api 200");
    await eventually(
      () => cluster.kubectl`describe ingress broken`,
      (text) => expect(text).toContain("nginx refuses its configuration"),
    );
    expect(await ask("http://web.example/")).toBe("web 200");
    await cluster.kubectl`delete ingress rest broken`;
    await becomes("http://unknown.example/", "nobody 404");
  });

  test("an Ingress of another class is another's", async () => {
    await cluster.apply(
      `${ingress("foreign", `{ ingressClassName: other, rules: [{ host: foreign.example, http: { paths: [${to("/", "Prefix", "web")}] } }] }`)}${ingress(
        "last",
        `{ rules: [{ host: last.example, http: { paths: [${to("/", "Prefix", "web")}] } }] }`,
      )}`,
    );
    await becomes("http://last.example/", "web 200");
    expect(await ask("http://foreign.example/")).toBe("nobody 404");
    expect(await cluster.kubectl`get ingress foreign -o jsonpath={.status.loadBalancer}`).toBe("{}");
  });

  test("Ingresses are served while no server runs, and followed again by the next", async () => {
    const pid = JSON.parse(await cluster.pinnace("status", "-o", "json")).server.pid as number;
    const ip = await address();
    process.kill(pid, "SIGKILL");
    const direct = await cluster.host(
      "curl",
      "-s",
      "-m",
      "5",
      "--noproxy",
      "*",
      "-H",
      "Host: web.example",
      `http://${ip}/`,
    );
    expect(direct).toContain("Hello, web-");
    await cluster.pinnace("up");
    await cluster.apply(
      ingress("after", `{ rules: [{ host: after.example, http: { paths: [${to("/", "Prefix", "api")}] } }] }`),
    );
    await becomes("http://after.example/", "api 200");
    expect(await ask("http://web.example/")).toBe("web 200");
  });
});
