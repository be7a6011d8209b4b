/** The built-in kubectl beside the real one: the same invocations against the same cluster, byte by byte, exit codes and standard error included. */
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { Readable, Writable } from "node:stream";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../src/base/node/system-clock.ts";
import { systemRandom } from "../src/base/node/system-random.ts";
import { runKubectl } from "../src/kubectl/kubectl.ts";
import { type CommandOutput, describeCluster } from "../src/testing/cluster-fixture.ts";
import {
  acceptedDifferences,
  changedLines,
  changesSince,
  descriptions,
  flow,
  invocations,
  kubeconfigChanges,
} from "./kubectl-invocations.ts";

const run = promisify(execFile);
/** The one on the PATH, or the one that `KUBECTL` names. */
const realKubectl = process.env["KUBECTL"] ?? "kubectl";
// Alpha in the real one, too.
process.env["KUBECTL_APPLYSET"] = "true";

/** kuberc files by their name, and what stands below their head. */
function preferences(bodies: Readonly<Record<string, string>>): Record<string, string> {
  const head = "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n";
  return Object.fromEntries(Object.entries(bodies).map(([name, body]) => [`krc/${name}`, `${head}${body}\n`]));
}

const files: Readonly<Record<string, string>> = {
  "cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ed\ndata:\n  a: b\n",
  "one.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: { name: as-a, labels: { app: x } }
data: { a: b }
`,
  "three.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: { name: as-a, labels: { app: x } }
data: { a: b }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: as-b, labels: { app: x, part: b } }
---
apiVersion: v1
kind: Service
metadata: { name: as-s, labels: { app: x } }
spec: { ports: [{ port: 80 }] }
`,
  "bad.yaml":
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_Name}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: badsvc}\nspec: {ports: []}\n",
  "conf.yaml": 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, resourceVersion: "1"}\ndata: {a: b}\n',
  "list.yaml":
    "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: nolist}}\n",
  "immut.yaml":
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {selector: {matchLabels: {other: x}}, template: {metadata: {labels: {other: x}}, spec: {containers: [{name: a, image: b}]}}}\n",
  "noname.yaml": "apiVersion: v1\nkind: Pod\n",
  "pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: lp}\nspec: {containers: [{name: a, image: x}]}\n",
  "settings.yaml": 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {long: "one\\ntwo\\n"}\n',
  "kz/kustomization.yaml": "resources: [cm.yaml]\nnamePrefix: p-\n",
  "kz/cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: c}\n",
  "config.json": '{"auths":{"a":{"auth":"YTpi"}}}',
  "krc/own": `apiVersion: kubectl.config.k8s.io/v1beta1
kind: Preference
defaults:
- command: get
  options: [{ name: output, default: wide }]
- command: create configmap
  options: [{ name: dry-run, default: client }, { name: output, default: yaml }]
- command: delete
  options: [{ name: interactive, default: "true" }]
aliases:
- { name: getn, command: get, prependArgs: [nodes], options: [{ name: output, default: name }] }
- name: runx
  command: run
  options: [{ name: image, default: nginx }, { name: dry-run, default: client }, { name: output, default: yaml }]
  appendArgs: ["--", custom-arg1]
- { name: seti, command: set image, prependArgs: [deploy/web], options: [{ name: dry-run, default: client }] }
`,
  "krc/first": `apiVersion: kubectl.config.k8s.io/v1alpha1
kind: Preference
overrides: [{ command: get, flags: [{ name: output, default: wide }] }]
aliases: [{ name: g, command: get, flags: [{ name: output, default: name }], prependArgs: [ns] }]
`,
  "krc/mixed": `apiVersion: kubectl.config.k8s.io/v1alpha1
kind: Preference
aliases: [{ name: getn, command: get, options: [{ name: output, default: name }], prependArgs: [nodes] }]
`,
  ...preferences({
    flag: "defaults: [{ command: get, options: [{ name: nope, default: x }] }]",
    value: "defaults: [{ command: get, options: [{ name: chunk-size, default: abc }] }]",
    command: "defaults: [{ command: nope, options: [{ name: output, default: name }] }]",
    alias: "aliases: [{ name: x, command: nope }]",
    name: 'aliases: [{ name: "a b", command: get }]',
    twice: "aliases: [{ name: d, command: get }, { name: d, command: get }]",
    unknown: "foo: bar\ndefaults: [{ command: get, x: y, options: [{ name: output, default: name }] }]",
    deny: "credentialPluginPolicy: DenyAll",
    policy: "credentialPluginPolicy: Bad",
    empty: "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: []",
    none: "credentialPluginPolicy: Allowlist",
    path: "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{ command: ./x }]",
  }),
  "krc/other": "apiVersion: v1\nkind: ConfigMap\n",
  env: 'A=1\n# c\nB = 2\nHOME\nC="x y"\n',
  "dir/one": "1\n",
  "dir/two": "2\n",
  "dir/below/three": "3\n",
};

const smallKubeconfig = `apiVersion: v1
kind: Config
preferences: {}
clusters:
- { name: c, cluster: { server: "https://c" } }
users:
- { name: u, user: { token: t } }
contexts:
- { name: x, context: { cluster: c, user: u } }
current-context: x
`;

function writeFiles(): string {
  const folder = mkdtempSync(join(tmpdir(), "pnt-kubectl-"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

const workloads = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: { app: web }
  annotations: { kubernetes.io/change-cause: first }
spec:
  replicas: 2
  selector:
    matchLabels: { app: web }
  template:
    metadata:
      labels: { app: web }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: echo
        image: pinnace.local/echo:1
        ports:
        - { containerPort: 8080, name: http }
        env:
        - { name: LEVEL, value: info }
        - { name: NODE, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
        resources:
          requests: { cpu: 10m, memory: 16Mi }
          limits: { memory: 256Mi }
        readinessProbe:
          httpGet: { path: /, port: http }
          periodSeconds: 1
        volumeMounts:
        - { name: settings, mountPath: /settings }
        - { name: scratch, mountPath: /scratch }
      volumes:
      - { name: settings, configMap: { name: settings } }
      - { name: scratch, emptyDir: {} }
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  type: NodePort
  selector: { app: web }
  ports:
  - { name: http, port: 80, targetPort: http, nodePort: 30090 }
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  long: |
    one
    two
---
apiVersion: v1
kind: Secret
metadata:
  name: password
stringData: { password: secret }
---
apiVersion: v1
kind: Service
metadata:
  name: outside
spec:
  type: ExternalName
  externalName: example.org
`;

/** Words at blanks; what stands in braces or brackets, and everything after `-c`, is one word. */
function wordsOf(line: string): string[] {
  const [, before = line, script] = /^(.*? -c )(.*)$/.exec(line) ?? [];
  const words = [
    ...before.matchAll(/(?:\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}|\[[^\]]*\]|\([^)]*\)|[^\s{[(])+/g),
  ].map(([word]) => word);
  return script === undefined ? words : [...words, script];
}

async function theirs(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<CommandOutput> {
  try {
    // It ends before its garbage would matter: a fifth of its time.
    const env = { ...environment, GOGC: "off" };
    const running = run(realKubectl, args, { env, maxBuffer: 64 << 20, timeout: 60_000 });
    running.child.stdin?.on("error", () => {}).end();
    return { ...(await running), exitCode: 0 };
  } catch (error) {
    const { stdout = "", stderr = "", code = 1 } = error as { stdout?: string; stderr?: string; code?: number };
    return { stdout, stderr, exitCode: code };
  }
}

/** In this process: a program of its own would cost more time to start than most answers take. */
async function ours(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<CommandOutput> {
  const written = () => {
    const chunks: Buffer[] = [];
    const stream = new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(chunk);
        done();
      },
    });
    return { stream, text: () => Buffer.concat(chunks).toString() };
  };
  const [stdout, stderr] = [written(), written()];
  const exitCode = await runKubectl(args, {
    stdin: Readable.from([]),
    stdout: stdout.stream,
    stderr: stderr.stream,
    environment,
    clock: systemClock,
    random: () => Promise.resolve(systemRandom),
    signal: new AbortController().signal,
  });
  return { stdout: stdout.text(), stderr: stderr.text(), exitCode };
}

/** A few at a time: while one waits for its answer, another starts. */
async function inParallel<T>(items: readonly T[], work: (item: T, i: number) => Promise<void>): Promise<void> {
  const waiting = [...items.entries()];
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await work(next[1], next[0]);
  };
  await Promise.all(Array.from({ length: 4 }, worker));
}

/** What is no fault of either: ages tick between the two, and upstream's own client says that it is older than the server. */
function comparable({ stdout, stderr, exitCode }: CommandOutput): CommandOutput {
  const settled = (text: string) =>
    text
      .replace(/\b(\d+[dhms]){1,2}(?= |\n|\)|$)/g, "AGE")
      // The real one takes the kinds of an apply set in any order.
      .replace(/(?:^.* pruned\n)+/gm, (lines) => lines.split("\n").sort().join("\n"))
      .replace(/ +AGE/g, " AGE")
      .replace(/AGE +/g, "AGE ")
      .replace(/(RenewTime: +).*|(LastHeartbeatTime).*/g, "$1$2")
      .replace(/(renewTime|lastHeartbeatTime|resourceVersion)"?: .*/g, "$1")
      // With -v: when it was, who wrote it, how long it took.
      .replace(/^I\d{4} [\d:.]+ +\d+ /gm, "I ")
      .replace(/^I .*(?:"Feature gate default state"|Unable to decode server response into a Table).*\n/gm, "")
      .replace(/(milliseconds=)\d+/g, "$1N")
      .replace(/(User-Agent: ).*/g, "$1")
      // Of an answer that is not stored: the second in which it was given.
      .replace(/("kind": "SelfSubjectReview"[\s\S]*"creationTimestamp": )"[^"]*"/, "$1NOW")
      .replace(/[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]+ [+-]\d{4} +(?=[A-Z][a-z]{2}, \d\d)/g, "HEARTBEAT ");
  return asBefore({ stdout: settled(stdout), stderr: settled(stderr), exitCode });
}

function kubectlMinor(): number {
  try {
    const text = execFileSync(realKubectl, ["version", "--client", "-o", "json"], { encoding: "utf8" });
    return Number.parseInt((JSON.parse(text) as { clientVersion: { minor: string } }).clientVersion.minor, 10);
  } catch {
    return 0;
  }
}

/** What is followed. With an older one, what has changed since is made the same; one that is too old is not compared with. */
const followedMinor = 36;
const oldestMinor = 32;
const minor = kubectlMinor();
const isComparable = minor >= oldestMinor && minor <= followedMinor;

const newer = changesSince.filter(({ since }) => since > minor);

const changed = new Set(changedLines.flatMap(({ since, lines }) => (since > minor ? lines : [])));
const isAsNow = (line: string) => !changed.has(line) && (minor === followedMinor || !/kuberc|^-n x nope/.test(line));

/** As both would say it in words of before these changes. */
function asBefore({ stdout, stderr, exitCode }: CommandOutput): CommandOutput {
  const told = (text: string) => newer.reduce((before, { as }) => as(before), text);
  return newer.length === 0 ? { stdout, stderr, exitCode } : { stdout: told(stdout), stderr: told(stderr), exitCode };
}

describe.skipIf(!isComparable)(
  isComparable
    ? `pinnace kubectl beside kubectl 1.${minor}`
    : `pinnace kubectl (skipped: the real one is 1.${minor}, not 1.${followedMinor})`,
  () => {
    describeCluster("beside the real kubectl", {}, (cluster) => {
      const folder = writeFiles();
      const server = createServer((request, response) => {
        const content = files[request.url!.slice(1)];
        response.writeHead(content === undefined ? 404 : 200).end(content);
      });
      beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
      afterAll(() => {
        server.close();
        rmSync(folder, { recursive: true, force: true });
      });
      const filled = (line: string) =>
        line.replaceAll("{files}", folder).replaceAll("{port}", String((server.address() as AddressInfo).port));
      const environment = () => ({
        ...process.env,
        PINNACE_HOME: cluster.home,
        KUBECONFIG: cluster.kubeconfig,
        EDITOR: "true",
      });

      test(`says the same while ${flow.length} invocations change the cluster`, { timeout: 120_000 }, async () => {
        const said = await Promise.all(
          [theirs, ours].map(async (kubectl, i) => {
            const namespace = `pnt-flow-${i}`;
            await cluster.kubectl`create namespace ${namespace}`;
            const answers: string[] = [];
            for (const line of flow) {
              const args = [...wordsOf(filled(line)), "-n", namespace];
              const { stdout, stderr, exitCode } = comparable(await kubectl(args, environment()));
              answers.push(`${line} (${exitCode})\n${stdout}${stderr}`.replaceAll(namespace, "pnt-flow"));
            }
            return answers;
          }),
        );
        expect(said[1]).toEqual(said[0]);
      });

      test(`says the same in ${invocations.length} invocations`, { timeout: 300_000 }, async () => {
        await cluster.apply(workloads);
        await cluster.kubectl`rollout status deploy/web --timeout=60s`;
        const pod = (await cluster.kubectl`get pods -l app=web -o ${"jsonpath={.items[0].metadata.name}"}`).trim();
        const differences: Record<string, unknown> = {};
        const compare = async (line: string, seen: (output: CommandOutput) => unknown) => {
          const args = wordsOf(filled(line.replaceAll("{pod}", pod)));
          const answers = await Promise.all([theirs(args, environment()), ours(args, environment())]);
          const [expected, actual] = answers.map(seen);
          if (JSON.stringify(expected) !== JSON.stringify(actual)) differences[line] = { expected, actual };
        };
        const work = [
          ...invocations.filter(isAsNow).map((line) => () => compare(line, comparable)),
          ...acceptedDifferences.map(
            ({ line }) =>
              () =>
                compare(line, ({ exitCode }) => exitCode),
          ),
        ];
        await inParallel(work, (compareOne) => compareOne());
        expect(differences).toEqual({});
      });

      test(`writes the same kubeconfig in ${kubeconfigChanges.length} invocations`, { timeout: 120_000 }, async () => {
        const differences: Record<string, unknown> = {};
        await inParallel(kubeconfigChanges, async (line, i) => {
          const file = join(folder, `kubeconfig-${i}`);
          const answers = [];
          for (const kubectl of [theirs, ours]) {
            writeFileSync(file, smallKubeconfig);
            const answer = await kubectl(wordsOf(line), { ...environment(), KUBECONFIG: file });
            answers.push({ ...answer, kubeconfig: readFileSync(file, "utf8") });
          }
          const [expected, actual] = answers.map((answer) => ({
            ...asBefore(answer),
            kubeconfig: asBefore({ ...answer, stdout: answer.kubeconfig }).stdout,
          }));
          if (JSON.stringify(expected) !== JSON.stringify(actual)) differences[line] = { expected, actual };
        });
        expect(differences).toEqual({});
      });

      test("describes every kind as the real one does", { timeout: 120_000 }, async () => {
        const namespace = "pnt-kinds";
        await cluster.kubectl`create namespace ${namespace}`;
        await cluster.kubectl`wait --for=create sa/default -n ${namespace} --timeout=60s`;
        await cluster.kubectl`apply -n ${namespace} -f ${resolve("test/kubectl-kinds.yaml")}`;
        const differences: Record<string, unknown> = {};
        for (const line of descriptions.filter(isAsNow)) {
          const args = [...wordsOf(line), "-n", namespace];
          const ask = () => Promise.all([theirs(args, environment()), ours(args, environment())]);
          // Events and statuses may arrive between the two: what differs once is asked again.
          for (let tries = 5; tries > 0; tries--) {
            const [expected, actual] = (await ask()).map(comparable);
            // The real one tells a Secret's entries in an order that it draws each time.
            const told = (answer: typeof expected) =>
              JSON.stringify(line.startsWith("describe secret") ? answer?.stdout.split("\n").sort() : answer);
            if (told(expected) === told(actual)) break;
            if (tries === 1) differences[line] = { expected, actual };
          }
        }
        expect(differences).toEqual({});
      });
    });
  },
);
