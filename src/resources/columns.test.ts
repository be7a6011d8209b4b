import { describe, expect, it } from "vitest";
import type { KubeObject } from "../api/object.ts";
import { apiVersionOf } from "../apimachinery/group-version.ts";
import { changed } from "../testing/refusals.ts";
import { definitions } from "./catalog.ts";

/** What upstream's server prints: columns in order, `:type` unless it is text, `=format`, `+` for those that only `-o wide` shows. */
const columns: Readonly<Record<string, string>> = {
  "v1/componentstatuses": "Name=name | Status | Message | Error",
  "v1/configmaps": "Name=name | Data | Age",
  "v1/endpoints": "Name=name | Endpoints | Age",
  "v1/events":
    "Last Seen | Type | Reason | Object | Subobject+ | Source+ | Message | First Seen+ | Count+ | Name=name+",
  "v1/limitranges": "Name=name | Created At:date",
  "v1/namespaces": "Name=name | Status | Age",
  "v1/nodes":
    "Name=name | Status | Roles | Age | Version | Internal-IP+ | External-IP+ | OS-Image+ | Kernel-Version+ | Container-Runtime+",
  "v1/persistentvolumeclaims":
    "Name=name | Status | Volume | Capacity | Access Modes | StorageClass | VolumeAttributesClass | Age | VolumeMode+",
  "v1/persistentvolumes":
    "Name=name | Capacity | Access Modes | Reclaim Policy | Status | Claim | StorageClass | VolumeAttributesClass | Reason | Age | VolumeMode+",
  "v1/pods": "Name=name | Ready | Status | Restarts | Age | IP+ | Node+ | Nominated Node+ | Readiness Gates+",
  "v1/podtemplates": "Name=name | Containers | Images | Pod Labels",
  "v1/replicationcontrollers":
    "Name=name | Desired:integer | Current:integer | Ready:integer | Age | Containers+ | Images+ | Selector+",
  "v1/resourcequotas": "Name=name | Request | Limit | Age",
  "v1/secrets": "Name=name | Type | Data | Age",
  "v1/serviceaccounts": "Name=name | Age",
  "v1/services": "Name=name | Type | Cluster-IP | External-IP | Port(s) | Age | Selector+",
  "apiregistration.k8s.io/v1/apiservices": "Name=name | Service | Available | Age",
  "apps/v1/controllerrevisions": "Name=name | Controller | Revision | Age",
  "apps/v1/daemonsets":
    "Name=name | Desired:integer | Current:integer | Ready:integer | Up-to-date:integer | Available:integer | Node Selector | Age | Containers+ | Images+ | Selector+",
  "apps/v1/deployments": "Name=name | Ready | Up-to-date | Available | Age | Containers+ | Images+ | Selector+",
  "apps/v1/replicasets":
    "Name=name | Desired:integer | Current:integer | Ready:integer | Age | Containers+ | Images+ | Selector+",
  "apps/v1/statefulsets": "Name=name | Ready | Age | Containers+ | Images+",
  "events.k8s.io/v1/events":
    "Last Seen | Type | Reason | Object | Subobject+ | Source+ | Message | First Seen+ | Count+ | Name=name+",
  "autoscaling/v2/horizontalpodautoscalers": "Name=name | Reference | Targets | MinPods | MaxPods | Replicas | Age",
  "autoscaling/v1/horizontalpodautoscalers": "Name=name | Reference | Targets | MinPods | MaxPods | Replicas | Age",
  "batch/v1/cronjobs":
    "Name=name | Schedule | Timezone | Suspend:boolean | Active:integer | Last Schedule | Age | Containers+ | Images+ | Selector+",
  "batch/v1/jobs": "Name=name | Status | Completions | Duration | Age | Containers+ | Images+ | Selector+",
  "certificates.k8s.io/v1/certificatesigningrequests":
    "Name=name | Age | SignerName | Requestor | RequestedDuration | Condition",
  "networking.k8s.io/v1/ingressclasses": "Name=name | Controller | Parameters | Age",
  "networking.k8s.io/v1/ingresses": "Name=name | Class | Hosts | Address | Ports | Age",
  "networking.k8s.io/v1/ipaddresses": "Name=name | ParentRef",
  "networking.k8s.io/v1/networkpolicies": "Name=name | Pod-Selector | Age",
  "networking.k8s.io/v1/servicecidrs": "Name=name | CIDRs | Age",
  "policy/v1/poddisruptionbudgets": "Name=name | Min Available | Max Unavailable | Allowed Disruptions:integer | Age",
  "rbac.authorization.k8s.io/v1/clusterrolebindings": "Name=name | Role | Age | Users+ | Groups+ | ServiceAccounts+",
  "rbac.authorization.k8s.io/v1/clusterroles": "Name=name | Created At:date",
  "rbac.authorization.k8s.io/v1/rolebindings": "Name=name | Role | Age | Users+ | Groups+ | ServiceAccounts+",
  "rbac.authorization.k8s.io/v1/roles": "Name=name | Created At:date",
  "storage.k8s.io/v1/csidrivers":
    "Name=name | AttachRequired:boolean | PodInfoOnMount:boolean | StorageCapacity:boolean | TokenRequests | RequiresRepublish:boolean | Modes | Age",
  "storage.k8s.io/v1/csinodes": "Name=name | Drivers:integer | Age",
  "storage.k8s.io/v1/csistoragecapacities": "Name=name | Created At:date",
  "storage.k8s.io/v1/storageclasses":
    "Name=name | Provisioner | ReclaimPolicy | VolumeBindingMode | AllowVolumeExpansion | Age",
  "storage.k8s.io/v1/volumeattachments": "Name=name | Attacher=name | PV | Node | Attached:boolean | Age",
  "storage.k8s.io/v1/volumeattributesclasses": "Name=name | DriverName | Age",
  "admissionregistration.k8s.io/v1/mutatingadmissionpolicies": "Name=name | Mutations:integer | ParamKind | Age",
  "admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings": "Name=name | PolicyName | ParamRef | Age",
  "admissionregistration.k8s.io/v1/mutatingwebhookconfigurations": "Name=name | Webhooks:integer | Age",
  "admissionregistration.k8s.io/v1/validatingadmissionpolicies": "Name=name | Validations:integer | ParamKind | Age",
  "admissionregistration.k8s.io/v1/validatingadmissionpolicybindings": "Name=name | PolicyName | ParamRef | Age",
  "admissionregistration.k8s.io/v1/validatingwebhookconfigurations": "Name=name | Webhooks:integer | Age",
  "apiextensions.k8s.io/v1/customresourcedefinitions": "Name=name | Created At:date",
  "scheduling.k8s.io/v1/priorityclasses": "Name=name | Value:integer | Global-Default:boolean | Age | PreemptionPolicy",
  "coordination.k8s.io/v1/leases": "Name=name | Holder | Age",
  "node.k8s.io/v1/runtimeclasses": "Name=name | Handler | Age",
  "discovery.k8s.io/v1/endpointslices": "Name=name | AddressType | Ports | Endpoints | Age",
  "resource.k8s.io/v1/deviceclasses": "Name=name | Age",
  "resource.k8s.io/v1/resourceclaims": "Name=name | State | Age",
  "resource.k8s.io/v1/resourceclaimtemplates": "Name=name | Age",
  "resource.k8s.io/v1/resourceslices": "Name=name | Node | Driver | Pool | Age",
  "flowcontrol.apiserver.k8s.io/v1/flowschemas":
    "Name=name | PriorityLevel | MatchingPrecedence | DistinguisherMethod | Age | MissingPL",
  "flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations":
    "Name=name | Type | NominalConcurrencyShares | Queues | HandSize | QueueLengthLimit | Age",
};

/** What a kind without columns of its own is printed with. */
const plain = "Name=name | Created At:date";

const definitionOf = (resource: string) => {
  const definition = definitions.find((one) => `${apiVersionOf(one)}/${one.plural}` === resource);
  if (!definition) throw new Error(`no resource ${resource}`);
  return definition;
};

describe("kubectl get shows", () => {
  it("a table for every resource", () => {
    const all = definitions.map((one) => `${apiVersionOf(one)}/${one.plural}`);
    expect(all.toSorted()).toEqual(Object.keys(columns).toSorted());
  });

  it.each(Object.entries(columns))("%s by upstream's columns", (resource, expected) => {
    const written = (definitionOf(resource).columns ?? []).map(
      ({ name, type, format, priority }) =>
        name + (type === "string" ? "" : `:${type}`) + (format ? `=${format}` : "") + (priority ? "+" : ""),
    );
    expect(written.join(" | ") || plain).toBe(expected);
  });
});

const now = Date.parse("2026-01-01T01:00:00Z");
const metadata = { name: "web", namespace: "default", creationTimestamp: "2026-01-01T00:00:00Z" };
const spec = { containers: [{ name: "main", image: "nginx" }] };
const template = { metadata: { labels: { app: "web" } }, spec };
const selector = { matchLabels: { app: "web" } };

/** The cells of an object, wide ones behind a bar. */
function cells(resource: string, object: object): string {
  const complete = changed({ metadata }, object as Record<string, unknown>) as unknown as KubeObject;
  const of = (wide: boolean) =>
    (definitionOf(resource).columns ?? [])
      .filter(({ priority }) => !!priority === wide)
      .map((column) => String(column.cell(complete, now)));
  const wide = of(true);
  return of(false).join("  ") + (wide.length > 0 ? ` | ${wide.join("  ")}` : "");
}

describe("a row of", () => {
  it.each<[string, object, string]>([
    ["v1/configmaps", { data: { a: "b" }, binaryData: { c: "" } }, "web  2  60m"],
    ["v1/secrets", { type: "Opaque", data: { a: "" } }, "web  Opaque  1  60m"],
    ["v1/namespaces", { status: { phase: "Active" } }, "web  Active  60m"],
    ["v1/serviceaccounts", {}, "web  60m"],
    [
      "v1/pods",
      {
        spec,
        status: {
          phase: "Running",
          podIPs: [{ ip: "10.0.0.1" }],
          containerStatuses: [{ name: "main", ready: true, restartCount: 0, state: { running: {} } }],
        },
      },
      "web  1/1  Running  0  60m | 10.0.0.1  <none>  <none>  <none>",
    ],
    [
      "v1/services",
      {
        spec: { type: "NodePort", clusterIPs: ["10.96.0.5"], ports: [{ port: 80, nodePort: 30080, protocol: "TCP" }] },
      },
      "web  NodePort  10.96.0.5  <none>  80:30080/TCP  60m | <none>",
    ],
    [
      "v1/services",
      { spec: { type: "LoadBalancer", clusterIPs: ["10.96.0.5"], ports: [], selector: { b: "c", a: "b" } } },
      "web  LoadBalancer  10.96.0.5  <pending>  <none>  60m | a=b,b=c",
    ],
    [
      "v1/nodes",
      {
        "metadata.labels": { "node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "edge" },
        spec: { unschedulable: true },
        status: {
          conditions: [{ type: "Ready", status: "True" }],
          addresses: [{ type: "InternalIP", address: "10.0.0.2" }],
          nodeInfo: {
            kubeletVersion: "v1.36.2",
            osImage: "Debian",
            kernelVersion: "6",
            containerRuntimeVersion: "crun",
          },
        },
      },
      "web  Ready,SchedulingDisabled  control-plane,edge  60m  v1.36.2 | 10.0.0.2  <none>  Debian  6  crun",
    ],
    [
      "v1/persistentvolumeclaims",
      {
        spec: { volumeName: "v", storageClassName: "fast", volumeMode: "Filesystem" },
        status: { phase: "Bound", capacity: { storage: "1Gi" }, accessModes: ["ReadWriteMany", "ReadWriteOnce"] },
      },
      "web  Bound  v  1Gi  RWO,RWX  fast  <unset>  60m | Filesystem",
    ],
    [
      "v1/persistentvolumes",
      {
        spec: {
          capacity: { storage: "1Gi" },
          accessModes: ["ReadWriteOnce"],
          persistentVolumeReclaimPolicy: "Retain",
          claimRef: { namespace: "a", name: "b" },
        },
        status: { phase: "Bound" },
      },
      "web  1Gi  RWO  Retain  Bound  a/b    <unset>    60m | <unset>",
    ],
    [
      "v1/endpoints",
      { subsets: [{ addresses: ["1", "2", "3", "4"].map((n) => ({ ip: `10.0.0.${n}` })), ports: [{ port: 80 }] }] },
      "web  10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more...  60m",
    ],
    [
      "v1/resourcequotas",
      { status: { hard: { pods: "2", "limits.cpu": "1" }, used: { pods: "1" } } },
      "web  pods: 1/2  limits.cpu: 0/1  60m",
    ],
    [
      "v1/replicationcontrollers",
      { spec: { replicas: 2, selector: { app: "web" }, template }, status: { replicas: 2, readyReplicas: 1 } },
      "web  2  2  1  60m | main  nginx  app=web",
    ],
    [
      "v1/events",
      {
        involvedObject: { kind: "Pod", name: "p" },
        type: "Normal",
        reason: "R",
        message: "said ",
        count: 3,
        firstTimestamp: "2026-01-01T00:00:00Z",
        lastTimestamp: "2026-01-01T00:30:00Z",
        source: { component: "kubelet", host: "n1" },
      },
      "30m (x3 over 60m)  Normal  R  pod/p  said |   kubelet, n1  60m  3  web",
    ],
    [
      "apps/v1/deployments",
      {
        spec: { replicas: 2, selector, template },
        status: { readyReplicas: 1, updatedReplicas: 2, availableReplicas: 1 },
      },
      "web  1/2  2  1  60m | main  nginx  app=web",
    ],
    [
      "apps/v1/replicasets",
      { spec: { replicas: 2, selector, template }, status: { replicas: 2, readyReplicas: 1 } },
      "web  2  2  1  60m | main  nginx  app=web",
    ],
    [
      "apps/v1/statefulsets",
      { spec: { replicas: 2, template }, status: { readyReplicas: 1 } },
      "web  1/2  60m | main  nginx",
    ],
    [
      "apps/v1/daemonsets",
      {
        spec: { selector, template },
        status: { desiredNumberScheduled: 3, currentNumberScheduled: 3, numberReady: 2, numberAvailable: 2 },
      },
      "web  3  3  2  0  2  <none>  60m | main  nginx  app=web",
    ],
    [
      "batch/v1/jobs",
      {
        spec: { completions: 1, parallelism: 1, template, selector },
        status: {
          succeeded: 1,
          startTime: "2026-01-01T00:00:00Z",
          completionTime: "2026-01-01T00:00:05Z",
          conditions: [{ type: "Complete", status: "True" }],
        },
      },
      "web  Complete  1/1  5s  60m | main  nginx  app=web",
    ],
    [
      "batch/v1/cronjobs",
      { spec: { schedule: "* * * * *", suspend: false, jobTemplate: { spec: { template } } }, status: {} },
      "web  * * * * *  <none>  False  0  <none>  60m | main  nginx  <none>",
    ],
    [
      "networking.k8s.io/v1/ingresses",
      {
        spec: { ingressClassName: "nginx", rules: ["a", "b", "c", "d"].map((host) => ({ host })), tls: [{}] },
        status: { loadBalancer: { ingress: [{ ip: "10.0.0.9" }] } },
      },
      "web  nginx  a,b,c + 1 more...  10.0.0.9  80, 443  60m",
    ],
    ["networking.k8s.io/v1/networkpolicies", { spec: { podSelector: {} } }, "web  <none>  60m"],
    [
      "policy/v1/poddisruptionbudgets",
      { spec: { minAvailable: "50%" }, status: { disruptionsAllowed: 1 } },
      "web  50%  N/A  1  60m",
    ],
    [
      "autoscaling/v2/horizontalpodautoscalers",
      {
        spec: {
          scaleTargetRef: { kind: "Deployment", name: "web" },
          minReplicas: 1,
          maxReplicas: 5,
          metrics: [
            { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } },
          ],
        },
        status: { currentReplicas: 2, desiredReplicas: 2 },
      },
      "web  Deployment/web  cpu: <unknown>/80%  1  5  2  60m",
    ],
    [
      "rbac.authorization.k8s.io/v1/rolebindings",
      { roleRef: { kind: "Role", name: "r" }, subjects: [{ kind: "ServiceAccount", namespace: "a", name: "b" }] },
      "web  Role/r  60m |     a/b",
    ],
    ["scheduling.k8s.io/v1/priorityclasses", { value: 5, preemptionPolicy: "Never" }, "web  5  false  60m  Never"],
    ["coordination.k8s.io/v1/leases", { spec: { holderIdentity: "me" } }, "web  me  60m"],
    [
      "discovery.k8s.io/v1/endpointslices",
      { addressType: "IPv4", ports: [{ port: 80 }], endpoints: [{ addresses: ["10.0.0.1"] }] },
      "web  IPv4  80  10.0.0.1  60m",
    ],
    [
      "storage.k8s.io/v1/storageclasses",
      { provisioner: "a.test/p", reclaimPolicy: "Delete", volumeBindingMode: "Immediate" },
      "web  a.test/p  Delete  Immediate  false  60m",
    ],
  ])("%s %#", (resource, object, expected) => {
    expect(cells(resource, object)).toBe(expected);
  });
});
