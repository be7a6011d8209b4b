/** The built-in kubectl beside the real one: the same invocations against the same cluster, byte by byte, exit codes and standard error included. */
import { execFile, execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { type CommandOutput, describeCluster, type TestCluster } from "../src/testing/cluster-fixture.ts";

const run = promisify(execFile);

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

/** One a line; nothing in them changes the cluster. `{pod}` is the name of a running pod. */
const invocations = `
get pods
get pods -o wide
get pod {pod} -o yaml
get pod {pod} -o json
get po,svc,deploy
get all
get all -A
get deploy web -o yaml
get deployments.apps
get deployments.v1.apps web
get svc -o json
get pods -o name
get nodes
get nodes -o wide
get nodes --show-labels
get pods -L app,pod-template-hash
get pods --no-headers
get pods --sort-by=.metadata.name
get pods -A --sort-by=.metadata.name
get pods -l app=web
get pods -l app=nope
get pods -l app in (web,other)
get pods --field-selector status.phase=Running
get pods --field-selector status.phase=Failed
get ns
get ns default -o yaml
get svc/web deploy/web
get svc web outside
get endpoints web
get endpointslices
get cm settings -o yaml
get secrets
get sa
get replicasets
get pv
get pvc
get ds,sts,job,cj -A
get ingress -A
get crd
get leases -A
get priorityclasses
get clusterroles view
get nodes nope
get pods nope1 nope2
get pods nope --ignore-not-found
get pods,foo
get foo
get
get pods/x y
get pod/x/y
get pods x -A
get pods --show-kind
get pods -o bad
get pods -o jsonpath={.items[*].metadata.name}
get pods -o jsonpath={range .items[*]}{.metadata.name}{"\\t"}{.status.podIP}{"\\n"}{end}
get pods -o jsonpath={.items[?(@.status.phase=="Running")].metadata.name}
get pods -o jsonpath={.items[0].metadata.labels.app}
get pods -o jsonpath={.items[*].spec.containers[*].image}
get pods -o jsonpath={..image}
get nodes -o jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}
get svc web -o jsonpath={.spec.ports[0].nodePort}
get svc web -o jsonpath={.spec
get pods -o custom-columns=NAME:.metadata.name,IP:.status.podIP
get pods -o custom-columns=LABELS:.metadata.labels,NONE:.metadata.nope --no-headers
get pods -o custom-columns=broken
get svc -o go-template={{range .items}}{{.metadata.name}}{{"\\n"}}{{end}}
get svc web -o go-template={{.spec.type}} {{len .spec.ports}} {{index .metadata.name}}
get svc web -o template --template={{if eq .spec.type "NodePort"}}yes{{else}}no{{end}}
get --raw /version
get --raw /api/v1/namespaces/default/configmaps/settings
get --raw /nope
get pods -n nope
get pods -n kube-system
get events -o name --sort-by=.metadata.name
describe pod {pod}
describe pods -l app=web
describe pod nope
describe svc web
describe svc
describe deploy web
describe rs
describe nodes
describe cm settings
describe cm
describe secret password
describe ns default
describe sa default
describe endpoints web
describe endpointslices
describe svc/web deploy/web
describe
describe foo
logs nope
logs
rollout status deploy/web
rollout status deploy/nope
rollout history deploy/web
rollout history deploy/web --revision=1
rollout history deploy/web --revision=9
create deployment x --image=nginx --dry-run=client -o yaml
create deployment x --image=nginx --replicas=3 --port=80 --dry-run=client -o yaml -- sleep 5
create deployment x --image=nginx --image=busybox --dry-run=client -o yaml
create cm x --from-literal=a=b --from-literal=c=d --dry-run=client -o yaml
create cm settings --from-literal=a=b
create secret generic x --from-literal=a=b --dry-run=client -o yaml
create secret docker-registry x --docker-username=u --docker-password=p --dry-run=client -o yaml
create service clusterip x --tcp=80:8080 --dry-run=client -o yaml
create service nodeport x --tcp=80:8080 --dry-run=client -o yaml
create service loadbalancer x --tcp=80 --dry-run=client -o yaml
create service externalname x --external-name=example.org --dry-run=client -o yaml
create job x --image=busybox --dry-run=client -o yaml -- echo hi
create cronjob x --image=busybox --schedule=*/5 --dry-run=client -o yaml -- echo hi
create role x --verb=get,list --resource=pods,deployments.apps --dry-run=client -o yaml
create clusterrole x --verb=get --resource=nodes --dry-run=client -o yaml
create rolebinding x --role=x --user=bob --serviceaccount=a:b --dry-run=client -o yaml
create clusterrolebinding x --clusterrole=view --group=team --dry-run=client -o yaml
create quota x --hard=cpu=1,pods=2 --dry-run=client -o yaml
create ns x --dry-run=client -o yaml
create ns x --dry-run=server
create sa x --dry-run=client -o yaml
create ingress x --rule=foo.com/bar=svc1:8080 --dry-run=client -o yaml
run x --image=nginx --dry-run=client -o yaml
run x --image=nginx --port=80 --env=A=b --labels=a=b --dry-run=client -o yaml -- a b
run x --image=nginx --restart=Never --dry-run=client -o yaml --command -- sleep 5
run x --image=nginx --dry-run=server
expose deploy web --port=90 --name=w2 --dry-run=client -o yaml
expose deploy web --port=90 --target-port=8080 --type=NodePort --name=w2 --dry-run=server
expose deploy web --name=w2 --dry-run=client -o yaml
expose pod {pod} --port=80 --name=w3 --dry-run=client -o yaml
expose svc web --name=w4 --port=81 --dry-run=client -o yaml
label deploy web x=y --dry-run=client
label deploy web app=other --dry-run=client
label pod nope a=b
label deploy web
annotate deploy web x=y --dry-run=server
set image deploy/web echo=nginx --dry-run=server
set image deploy/web nope=nginx
set env deploy/web --list
set resources deploy web --limits=cpu=200m --dry-run=server
patch deploy web -p {"spec":{"replicas":2}}
patch deploy web -p {"spec":{"replicas":3}} --dry-run=server
patch deploy web --type=json -p [{"op":"remove","path":"/metadata/nope"}]
patch deploy web --type=bad -p {}
scale deploy web --replicas=2
scale deploy web --replicas=3 --current-replicas=7
delete pod nope
delete pods
delete pods --all --dry-run=client
delete deploy web --dry-run=server
delete
api-resources
api-resources -o name
api-resources -o wide
api-resources --namespaced=false
api-resources --api-group=apps
api-versions
cluster-info
config get-contexts
config get-contexts -o name
config get-contexts nope
config current-context
config view
config view --minify
config get-clusters
config get-users
auth can-i get pods
auth can-i list nodes
auth can-i list pods --as bob
auth can-i delete pods --as system:serviceaccount:default:default
auth whoami
auth whoami --as bob --as-group team
wait --for=condition=Ready pod -l app=web
wait --for=condition=Available deploy/web
wait --for=condition=Nope pod -l app=web --timeout=1s
wait --for=delete pod/nope
wait --for=jsonpath={.status.phase}=Running pod -l app=web
wait --for=condition=Ready pod nope
uncordon worker-1
cordon worker-1 --dry-run=client
taint node worker-1 nope-
exec deploy/web -- sh -c echo out; echo err >&2; exit 3
exec {pod} -- hostname
exec nope -- hostname
exec {pod}
get pods --context nope
get pods --as nobody
`
  .split("\n")
  .filter(Boolean);

/** Words at blanks; what stands in braces or brackets, and everything after `-c`, is one word. */
function wordsOf(line: string): string[] {
  const [, before = line, script] = /^(.*? -c )(.*)$/.exec(line) ?? [];
  const words = [
    ...before.matchAll(/(?:\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}|\[[^\]]*\]|\([^)]*\)|[^\s{[(])+/g),
  ].map(([word]) => word);
  return script === undefined ? words : [...words, script];
}

async function output(program: string, args: string[], cluster: TestCluster): Promise<CommandOutput> {
  const env = { ...process.env, PINNACE_HOME: cluster.home, KUBECONFIG: cluster.kubeconfig };
  try {
    return { ...(await run(program, args, { env, maxBuffer: 64 << 20, timeout: 30_000 })), exitCode: 0 };
  } catch (error) {
    const { stdout = "", stderr = "", code = 1 } = error as { stdout?: string; stderr?: string; code?: number };
    return { stdout, stderr, exitCode: code };
  }
}

/** What is no fault of either: ages tick between the two, and upstream's own client says that it is older than the server. */
function comparable({ stdout, stderr, exitCode }: CommandOutput): CommandOutput {
  const settled = (text: string) =>
    text
      .replace(/\b(\d+[dhms]){1,2}(?= |\n|\)|$)/g, "AGE")
      .replace(/ +AGE/g, " AGE")
      .replace(/AGE +/g, "AGE ")
      .replace(/(RenewTime: +).*|(LastHeartbeatTime).*/g, "$1$2")
      .replace(/(renewTime|lastHeartbeatTime|resourceVersion)"?: .*/g, "$1")
      .replace(/[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]+ [+-]\d{4} +(?=[A-Z][a-z]{2}, \d\d)/g, "HEARTBEAT ");
  return { stdout: settled(stdout), stderr: settled(stderr), exitCode };
}

function kubectlMinor(): number {
  try {
    const text = execFileSync("kubectl", ["version", "--client", "-o", "json"], { encoding: "utf8" });
    return Number.parseInt((JSON.parse(text) as { clientVersion: { minor: string } }).clientVersion.minor, 10);
  } catch {
    return 0;
  }
}

// Wording and layout differ between versions; this one is followed.
const followedMinor = 32;
const minor = kubectlMinor();
const isComparable = minor === followedMinor;

describe.skipIf(!isComparable)(
  isComparable ? "pinnace kubectl" : `pinnace kubectl (skipped: the real one is 1.${minor}, not 1.${followedMinor})`,
  () => {
    describeCluster("beside the real kubectl", {}, (cluster) => {
      test(`says the same in ${invocations.length} invocations`, { timeout: 240_000 }, async () => {
        await cluster.apply(workloads);
        await cluster.kubectl`rollout status deploy/web --timeout=60s`;
        const pod = (await cluster.kubectl`get pods -l app=web -o ${"jsonpath={.items[0].metadata.name}"}`).trim();
        const differences: Record<string, unknown> = {};
        for (const line of invocations) {
          const args = wordsOf(line.replaceAll("{pod}", pod));
          const [theirs, ours] = await Promise.all([
            output("kubectl", args, cluster),
            output(process.execPath, [resolve("dist/bin/pinnace.mjs"), "kubectl", ...args], cluster),
          ]);
          const [expected, actual] = [comparable(theirs), comparable(ours)];
          if (JSON.stringify(expected) !== JSON.stringify(actual)) differences[line] = { expected, actual };
        }
        expect(differences).toEqual({});
      });
    });
  },
);
