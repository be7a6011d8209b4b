/** The session of kubectl-session.md, typed with a real kubectl: with the one on the PATH, or the one that `KUBECTL` names. */
import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";
import { findProgram } from "../src/base/node/find-program.ts";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";
import { isAsWritten, type LabStep, parseLab, runLabCommand } from "../src/testing/lab-document.ts";

const kubectl = process.env["KUBECTL"] ?? "kubectl";
/** At so many namespaces at once: while one command waits for the cluster, others keep the machine busy. */
const lanes = 3;

interface Chapter {
  /** The one whose name the chapter bears; undefined for one about the cluster. */
  namespace?: string;
  steps: LabStep[];
}

function chaptersFor(minor: number): Chapter[] {
  const isKnown = (block: string) => Number(/^```console since=1\.(\d+)/.exec(block)?.[1] ?? 0) <= minor;
  return readFileSync("test/kubectl-session.md", "utf8")
    .split(/^(?=## )/m)
    .slice(1)
    .map((text) => {
      const namespace = /^## Namespace (\w+)$/m.exec(text)?.[1];
      const steps = parseLab(text.replace(/^```.*?^```$/gms, (block) => (isKnown(block) ? block : "")));
      return { ...(namespace && { namespace }), steps };
    });
}

function minorOf(program: string): number {
  const text = execFileSync(program, ["version", "--client", "-o", "json"], { encoding: "utf8" });
  return Number.parseInt((JSON.parse(text) as { clientVersion: { minor: string } }).clientVersion.minor, 10);
}

/** Since 1.33 kubectl says from where it deleted something. */
const withoutPlaces = (printed: string) => printed.replace(/^(.*"(?: force)? deleted) from \S+ namespace$/gm, "$1");

/** What the documents speak of: a Service of two pods and its client, and one of the same name elsewhere. */
const spokenOf = `apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: default }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { terminationGracePeriodSeconds: 0, containers: [{ name: web, image: busybox, command: [sh, -c, "echo hi > index.html; exec httpd -f -p 8080"], workingDir: /tmp }] }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: default }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: web-0, namespace: default }
spec: { containers: [{ name: web, image: busybox, command: [sleep, "3600"] }], terminationGracePeriodSeconds: 0 }
---
apiVersion: v1
kind: Pod
metadata: { name: web-0, namespace: shop, labels: { app: web } }
spec: { terminationGracePeriodSeconds: 0, containers: [{ name: web, image: busybox, command: [sh, -c, "echo hi > index.html; exec httpd -f -p 8080"], workingDir: /tmp }] }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ name: a, port: 80, targetPort: 8080 }, { name: b, port: 8080 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: client, namespace: default }
spec: { containers: [{ name: c, image: busybox, command: [sleep, "3600"] }], terminationGracePeriodSeconds: 0 }
`;

/** Lines that this cluster is not for: they make or end clusters, nodes or images, follow something without end, or wait for a user. */
const notHere =
  /^pinnace (?:up|down|demo|server|join|leave|doctor|image|lab (?!list)|certs (?!check)|store (?:restore|defragment)|logs -f|map --watch|capture|shell(?: --node \S+)?$|why (?:10\.|svc\/NAME|http:\/\/NAME|pod\/NAME|deployment\/NAME))|--name big/;

/** The command lines that stand in a document by themselves, without what they print. */
const linesOf = (document: string): string[] =>
  [...readFileSync(document, "utf8").matchAll(/^ {4}(pinnace [a-z].*)$/gm)]
    .map(([, line = ""]) => line.replace(/\s+# .*$/, ""))
    .filter((line) => !notHere.test(line));

describeCluster("a day with kubectl", {}, (cluster) => {
  test("the documents' commands do what these say", { timeout: 240_000 }, async () => {
    const folder = join(cluster.home, "documents");
    const bin = join(cluster.home, "documents-bin");
    mkdirSync(folder);
    mkdirSync(bin);
    // The documents' cluster has the usual name, this one has not.
    const command = `#!/bin/sh
pinnace() { PINNACE_NODE=${process.execPath} exec ${resolve("dist/bin/pinnace.cjs")} "$@"; }
case "$1" in
status | logs | kubeconfig | certs | store) pinnace "$@" --name ${cluster.name} ;;
*) pinnace "$@" ;;
esac
`;
    writeFileSync(join(bin, "pinnace"), command, { mode: 0o755 });
    const environment = {
      ...process.env,
      PATH: `${bin}:${process.env["PATH"]}`,
      PINNACE_HOME: cluster.home,
      KUBECONFIG: cluster.kubeconfig,
    };
    await cluster.apply(spokenOf);
    await cluster.kubectl`wait --for=condition=Ready pod --all --timeout=60s`;
    await cluster.kubectl`-n shop wait --for=condition=Ready pod --all --timeout=60s`;
    for (const document of ["how-it-works", "troubleshooting", "commands"]) {
      for (const step of parseLab(readFileSync(`docs/${document}.md`, "utf8"))) {
        if (step.kind === "file") continue;
        const check = (printed: string) => {
          const story = `${document}: $ ${step.command}\n${printed}\nThe document says:\n${step.expected}`;
          expect(isAsWritten(step.expected, printed), story).toBe(true);
        };
        const run = () => runLabCommand(step.command, { folder, environment });
        if (step.isRepeated) await eventually(run, check);
        else check(await run());
      }
    }
    const lines = ["docs/commands.md", "docs/troubleshooting.md"].flatMap(linesOf);
    expect(lines.length).toBeGreaterThan(15);
    const failed: string[] = [];
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        for (let line = lines.shift(); line; line = lines.shift()) {
          const end = await runLabCommand(`{ ${line}; } > out.$$ 2>&1; echo "exit $?"; tail -5 out.$$`, {
            folder,
            environment,
          });
          if (!end.startsWith("exit 0\n")) failed.push(`$ ${line}\n${end}`);
        }
      }),
    );
    expect(failed.join("\n")).toBe("");
    await cluster.kubectl`delete namespace shop`;
    await cluster.kubectl`delete deployment/web service/web service/lost pod/web-0 pod/client`;
  });

  test("reads as users know it", { timeout: 480_000 }, async () => {
    const minor = minorOf(kubectl);
    const folder = join(cluster.home, "session");
    const bin = join(cluster.home, "bin");
    mkdirSync(bin, { recursive: true });
    if (kubectl !== "kubectl") symlinkSync(resolve(kubectl), join(bin, "kubectl"));
    const unexpected: string[] = [];

    const type = async ({ namespace, steps }: Chapter) => {
      const kubeconfig = `${cluster.kubeconfig}.${namespace}`;
      copyFileSync(cluster.kubeconfig, kubeconfig);
      const environment = { ...process.env, PATH: `${bin}:${process.env["PATH"]}`, KUBECONFIG: kubeconfig };
      const run = async (command: string) =>
        withoutPlaces(await runLabCommand(`exec 2>&1; ${command}`, { folder, environment }));
      if (namespace)
        await run(
          `kubectl create namespace ${namespace} && kubectl config set-context --current --namespace=${namespace}`,
        );
      for (const step of steps) {
        if (step.kind === "file") continue;
        const check = (printed: string) => expect(isAsWritten(step.expected, printed)).toBe(true);
        const printed = await run(step.command);
        if (isAsWritten(step.expected, printed)) continue;
        if (step.isRepeated)
          await eventually(() => run(step.command), check).catch(() =>
            unexpected.push(`$ ${step.command}\n${printed}`),
          );
        else unexpected.push(`$ ${step.command}\n${printed}`);
      }
    };

    const chapters = chaptersFor(minor);
    for (const step of chapters.flatMap(({ steps }) => steps)) {
      if (step.kind !== "file") continue;
      mkdirSync(dirname(join(folder, step.name)), { recursive: true });
      writeFileSync(join(folder, step.name), step.content);
    }
    const nodes = chapters.pop()!;
    const waiting = chapters.filter(({ namespace }) => namespace);
    for (const chapter of chapters.filter(({ namespace }) => !namespace)) await type(chapter);
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        for (let chapter = waiting.shift(); chapter; chapter = waiting.shift()) await type(chapter);
      }),
    );
    await type(nodes); // Draining one would disturb the others.
    expect(unexpected.join("\n")).toBe("");
  });

  test.skipIf(!findProgram("script"))("a shell in the cluster completes what is typed, on a terminal", async () => {
    const words = [process.execPath, resolve("dist/bin/pinnace.mjs"), "shell", "--name", cluster.name];
    const terminal = spawn("script", ["-qfec", words.map((word) => `'${word}'`).join(" "), "/dev/null"], {
      env: { ...process.env, SHELL: "/bin/bash", HOME: cluster.home, TERM: "dumb", PINNACE_HOME: cluster.home },
      stdio: ["pipe", "pipe", "inherit"],
    });
    let shown = "";
    const until = (wanted: RegExp) =>
      new Promise<void>((found) => {
        const look = () => {
          if (!wanted.test(shown)) return;
          terminal.stdout.off("data", look);
          found();
        };
        terminal.stdout.on("data", look);
        look();
      });
    terminal.stdout.on("data", (chunk: Buffer) => {
      shown += chunk.toString();
    });
    await until(/You are in cluster/);
    terminal.stdin.write("PS1='ready> '; source <(kubectl completion bash)\n");
    await until(/ready> $/);
    terminal.stdin.write("kubectl get names\t");
    await until(/kubectl get namespaces/);
    terminal.stdin.write("-o name\n");
    await until(/namespace\/kube-system/);
    const ended = new Promise((resolveCode) => terminal.once("exit", resolveCode));
    terminal.stdin.write("exit\n");
    expect(await ended).toBe(0);
  });
});
