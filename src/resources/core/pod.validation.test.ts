import { expect } from "vitest";
import { type Refusal, refuses, refusesChanges } from "../../testing/refusals.ts";
import { pods } from "./pod.ts";

const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const namePart =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const labelValue =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const valid = {
  metadata: { name: "web", namespace: "default" },
  spec: {
    serviceAccountName: "default",
    volumes: [{ name: "data", emptyDir: {} }],
    containers: [{ name: "main", image: "nginx:1.27" }],
  },
};
const c0 = "spec.containers.0";
const p0 = "spec.containers[0]";
const v0 = "spec.volumes[0]";

const containers: Refusal[] = [
  ["without containers", { "spec.containers": [] }, ["spec.containers: Required value"]],
  ["with a container without a name", { [`${c0}.name`]: "" }, [`${p0}.name: Required value`]],
  ["with a container named in capitals", { [`${c0}.name`]: "Main" }, [`${p0}.name: Invalid value: "Main": ${label}`]],
  [
    "with two containers of one name",
    { "spec.containers.1": { name: "main", image: "busybox" } },
    ['spec.containers[1].name: Duplicate value: "main"'],
  ],
  [
    "with a container that prepares and works under one name",
    { "spec.initContainers": [{ name: "main", image: "busybox" }] },
    ['spec.initContainers[0].name: Duplicate value: "main"'],
  ],
  ["without an image", { [`${c0}.image`]: undefined }, [`${p0}.image: Required value`]],
  [
    "with an image that begins with space",
    { [`${c0}.image`]: " nginx" },
    [`${p0}.image: Invalid value: " nginx": must not have leading or trailing whitespace`],
  ],
  [
    "with a message policy nobody knows",
    { [`${c0}.terminationMessagePolicy`]: "Guess" },
    [`${p0}.terminationMessagePolicy: Unsupported value: "Guess": supported values: "File", "FallbackToLogsOnError"`],
  ],
  [
    "with a pull policy nobody knows",
    { [`${c0}.imagePullPolicy`]: "Sometimes" },
    [`${p0}.imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"`],
  ],
  [
    "with ports that cannot be",
    {
      [`${c0}.ports`]: [
        { containerPort: 0 },
        { containerPort: 70000, name: "web", protocol: "HTTP" },
        { containerPort: 80, name: "web", hostPort: -1 },
        { containerPort: 81, name: "toolongtobeaport" },
      ],
    },
    [
      `${p0}.ports[0].containerPort: Required value`,
      `${p0}.ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive`,
      `${p0}.ports[1].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"`,
      `${p0}.ports[2].name: Duplicate value: "web"`,
      `${p0}.ports[2].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive`,
      `${p0}.ports[3].name: Invalid value: "toolongtobeaport": must be no more than 15 characters`,
    ],
  ],
  [
    "with a port of the node asked for twice",
    {
      [`${c0}.ports`]: [
        { containerPort: 80, hostPort: 80 },
        { containerPort: 81, hostPort: 80 },
      ],
    },
    [`${p0}.ports[1].hostPort: Duplicate value: "TCP//80"`],
  ],
  [
    "on the host's network with another port there",
    { "spec.hostNetwork": true, [`${c0}.ports`]: [{ containerPort: 80, hostPort: 81 }] },
    [`${p0}.ports[0].hostPort: Invalid value: 81: must match \`containerPort\` when \`hostNetwork\` is true`],
  ],
  [
    "with probes beyond reason",
    {
      [`${c0}.livenessProbe`]: { exec: {}, successThreshold: 2, terminationGracePeriodSeconds: 0 },
      [`${c0}.readinessProbe`]: { tcpSocket: { port: 0 }, terminationGracePeriodSeconds: 5, periodSeconds: -1 },
      [`${c0}.startupProbe`]: { grpc: { port: 80 }, exec: { command: ["a"] } },
    },
    [
      `${p0}.livenessProbe.exec.command: Required value`,
      `${p0}.livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0`,
      `${p0}.livenessProbe.successThreshold: Invalid value: 2: must be 1`,
      `${p0}.readinessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive`,
      `${p0}.readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0`,
      `${p0}.readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes`,
      `${p0}.startupProbe.grpc: Forbidden: may not specify more than 1 handler type`,
    ],
  ],
  [
    "with a header nobody could send",
    { [`${c0}.livenessProbe`]: { httpGet: { port: 80, scheme: "FTP", httpHeaders: [{ name: "a b", value: "" }] } } },
    [
      `${p0}.livenessProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"`,
      `${p0}.livenessProbe.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')`,
    ],
  ],
  [
    "with hooks that do nothing or sleep too long",
    { [`${c0}.lifecycle`]: { postStart: {}, preStop: { sleep: { seconds: 31 } } } },
    [
      `${p0}.lifecycle.postStart: Required value: must specify a handler type`,
      `${p0}.lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)`,
    ],
  ],
  [
    "with a container's restart policy nobody knows",
    { [`${c0}.restartPolicy`]: "Maybe" },
    [`${p0}.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "Never", "OnFailure"`],
  ],
  [
    "with restart rules that are not rules",
    { [`${c0}.restartPolicyRules`]: [{ action: "Panic" }, { action: "Restart", exitCodes: { operator: "Is" } }] },
    [
      `${p0}.restartPolicy: Required value: must specify restartPolicy when restart rules are used`,
      `${p0}.restartPolicyRules[0].action: Unsupported value: "Panic": supported values: "Restart", "RestartAllContainers"`,
      `${p0}.restartPolicyRules[0].exitCodes: Required value: must be specified`,
      `${p0}.restartPolicyRules[1].exitCodes.operator: Unsupported value: "Is": supported values: "In", "NotIn"`,
    ],
  ],
  [
    "with resize policies that contradict",
    {
      "spec.restartPolicy": "Never",
      [`${c0}.resizePolicy`]: [
        { resourceName: "cpu", restartPolicy: "NotRequired" },
        { resourceName: "cpu", restartPolicy: "RestartContainer" },
        { resourceName: "disk", restartPolicy: "NotRequired" },
      ],
    },
    [
      `${p0}.resizePolicy[1]: Duplicate value: "cpu"`,
      `${p0}.resizePolicy: Invalid value: "RestartContainer": must be 'NotRequired' when pod \`restartPolicy\` is 'Never'`,
      `${p0}.resizePolicy: Unsupported value: "disk": supported values: "cpu", "memory"`,
    ],
  ],
  [
    "with a step of preparation that is probed and hooks in",
    { "spec.initContainers": [{ name: "i", image: "b", readinessProbe: {}, lifecycle: { preStop: {} } }] },
    [
      "spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always",
      "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
    ],
  ],
  [
    "with an ephemeral container from the start",
    { "spec.ephemeralContainers": [{ name: "e", image: "b" }] },
    ["spec.ephemeralContainers: Forbidden: cannot be set on create"],
  ],
];

const environment: Refusal[] = [
  ["with a variable without a name", { [`${c0}.env`]: [{ name: "" }] }, [`${p0}.env[0].name: Required value`]],
  [
    "with a variable named with an equals sign",
    { [`${c0}.env`]: [{ name: "a=b" }] },
    [
      `${p0}.env[0].name: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters other than '='`,
    ],
  ],
  [
    "with a variable from nowhere",
    { [`${c0}.env`]: [{ name: "A", valueFrom: {} }] },
    [
      `${p0}.env[0].valueFrom: Invalid value: "": must specify one of: \`fieldRef\`, \`resourceFieldRef\`, \`configMapKeyRef\`, \`secretKeyRef\` or \`fileKeyRef\``,
    ],
  ],
  [
    "with variables from fields that pods do not have",
    {
      [`${c0}.env`]: [
        { name: "A", valueFrom: { fieldRef: { fieldPath: "spec.color" } } },
        { name: "B", valueFrom: { fieldRef: { fieldPath: "metadata.labels" } } },
        { name: "C", valueFrom: { fieldRef: { fieldPath: "spec.nodeName", apiVersion: "v2" } } },
        { name: "D", valueFrom: { fieldRef: { fieldPath: "status.podIP['x']" } } },
        { name: "E", valueFrom: { fieldRef: { fieldPath: "metadata.labels['a b']" } } },
      ],
    },
    [
      `${p0}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.color": error converting fieldPath: field label not supported: spec.color`,
      `${p0}.env[1].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"`,
      `${p0}.env[2].valueFrom.fieldRef.fieldPath: Invalid value: "spec.nodeName": error converting fieldPath: unsupported pod version: v2`,
      `${p0}.env[3].valueFrom.fieldRef.fieldPath: Invalid value: "status.podIP['x']": error converting fieldPath: field label does not support subscript: status.podIP['x']`,
      `${p0}.env[4].valueFrom.fieldRef: Invalid value: "a b": ${namePart}`,
    ],
  ],
  [
    "with resources that cannot be told, or not in that unit",
    {
      [`${c0}.env`]: [
        { name: "A", valueFrom: { resourceFieldRef: { resource: "limits.gold" } } },
        { name: "B", valueFrom: { resourceFieldRef: { resource: "limits.cpu", divisor: "10m" } } },
        { name: "C", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "2Mi" } } },
      ],
    },
    [
      `${p0}.env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.gold": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"`,
      `${p0}.env[1].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource`,
      `${p0}.env[2].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.memory": only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource`,
    ],
  ],
  [
    "with keys that no ConfigMap has",
    {
      [`${c0}.env`]: [
        { name: "A", valueFrom: { configMapKeyRef: { name: "C", key: "k" } } },
        { name: "B", valueFrom: { secretKeyRef: { name: "s", key: "" } } },
      ],
    },
    [
      `${p0}.env[0].valueFrom.configMapKeyRef.name: Invalid value: "C": ${subdomain}`,
      `${p0}.env[1].valueFrom.secretKeyRef.key: Required value`,
    ],
  ],
  [
    "with a variable from a file that lies nowhere",
    {
      [`${c0}.env`]: [
        { name: "A", valueFrom: { fileKeyRef: { volumeName: "none", path: "../a", key: "k" } } },
        { name: "B", valueFrom: { fileKeyRef: { volumeName: "conf", path: "a", key: "" } } },
        { name: "C", valueFrom: { fileKeyRef: { volumeName: "conf", path: "/etc/passwd", key: "k" } } },
        { name: "D", valueFrom: { fileKeyRef: { volumeName: "conf", path: "..data", key: "k" } } },
      ],
      "spec.volumes.1": { name: "conf", configMap: { name: "c" } },
    },
    [
      `${p0}.env[0].valueFrom.fileKeyRef.path: Invalid value: "../a": must not contain '..'`,
      `${p0}.env[1].valueFrom.fileKeyRef.key: Required value`,
      `${p0}.env[2].valueFrom.fileKeyRef.path: Invalid value: "/etc/passwd": must be a relative path`,
      `${p0}.env[3].valueFrom.fileKeyRef.path: Invalid value: "..data": must not start with '..'`,
      `${p0}.env[0].valueFrom.fileKeyRef.volumeName: Not found: "none"`,
      ...[1, 2, 3].map(
        (n) =>
          `${p0}.env[${n}].valueFrom.fileKeyRef.volumeName: Invalid value: "conf": referenced volume must be of type emptyDir`,
      ),
    ],
  ],
  [
    "with sources of variables that are none",
    { [`${c0}.envFrom`]: [{}, { configMapRef: {} }, { secretRef: { name: "S" } }] },
    [
      `${p0}.envFrom: Invalid value: "": must specify one of: \`configMapRef\` or \`secretRef\``,
      `${p0}.envFrom[1].configMapRef.name: Required value`,
      `${p0}.envFrom[2].secretRef.name: Invalid value: "S": ${subdomain}`,
    ],
  ],
];

const volumes: Refusal[] = [
  ["with a volume without a name", { "spec.volumes.0.name": "" }, [`${v0}.name: Required value`]],
  [
    "with two volumes of one name",
    { "spec.volumes.1": { name: "data", emptyDir: {} } },
    ['spec.volumes[1].name: Duplicate value: "data"'],
  ],
  [
    "with a volume of two kinds",
    { "spec.volumes.0.hostPath": { path: "/a" } },
    [`${v0}.hostPath: Forbidden: may not specify more than 1 volume type`],
  ],
  [
    "with paths that lead out",
    {
      "spec.volumes": [
        { name: "a", hostPath: { path: "/a/../b", type: "Odd" } },
        { name: "b", configMap: { name: "c", items: [{ key: "k", path: "..x", mode: 4096 }] } },
        { name: "c", secret: { items: [{ key: "", path: "/abs" }] } },
      ],
    },
    [
      `${v0}.hostPath.path: Invalid value: "/a/../b": must not contain '..'`,
      `${v0}.hostPath.type: Unsupported value: "Odd": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"`,
      `spec.volumes[1].configMap.items[0].path: Invalid value: "..x": must not start with '..'`,
      "spec.volumes[1].configMap.items[0].mode: Invalid value: 4096: must be a number between 0 and 0777 (octal), both inclusive",
      "spec.volumes[2].secret.secretName: Required value",
      "spec.volumes[2].secret.items[0].key: Required value",
      `spec.volumes[2].secret.items[0].path: Invalid value: "/abs": must be a relative path`,
    ],
  ],
  [
    "with remote volumes that lack their places",
    {
      "spec.volumes": [
        { name: "a", nfs: {} },
        { name: "b", iscsi: { targetPortal: "p", iqn: "x", lun: 300 } },
        { name: "c", csi: { driver: "a_b", nodePublishSecretRef: {} } },
        { name: "d", fc: { targetWWNs: ["w"] } },
        { name: "e", persistentVolumeClaim: {} },
        { name: "f", azureDisk: { diskName: "d", diskURI: "u" } },
        { name: "g", flexVolume: { driver: "d", options: { "kubernetes.io/a": "b" } } },
      ],
    },
    [
      `${v0}.nfs.server: Required value`,
      `${v0}.nfs.path: Required value`,
      `${v0}.nfs.path: Invalid value: "": must be an absolute path`,
      'spec.volumes[1].iscsi.iqn: Invalid value: "x": must be valid format starting with iqn, eui, or naa',
      "spec.volumes[1].iscsi.lun: Invalid value: 300: must be between 0 and 255, inclusive",
      `spec.volumes[2].csi.driver: Invalid value: "a_b": ${subdomain}`,
      "spec.volumes[2].csi.nodePublishSecretRef.name: Required value",
      "spec.volumes[3].fc.lun: Required value: lun is required if targetWWNs is specified",
      "spec.volumes[4].persistentVolumeClaim.claimName: Required value",
      'spec.volumes[5].azureDisk.diskURI: Unsupported value: "u": supported values: "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"',
      'spec.volumes[6].flexVolume.options[kubernetes.io/a]: Invalid value: "kubernetes.io/a": kubernetes.io and k8s.io namespaces are reserved',
    ],
  ],
  [
    "with files of its own that say nothing or twice",
    {
      "spec.volumes.0": {
        name: "data",
        projected: {
          sources: [
            { downwardAPI: { items: [{ path: "a" }] } },
            { secret: { name: "s", items: [{ key: "k", path: "a" }] }, configMap: { name: "c" } },
            { serviceAccountToken: { path: "", expirationSeconds: 5 } },
          ],
        },
      },
    },
    [
      `${v0}.projected.sources[0].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required`,
      `${v0}.projected: Invalid value: "s": conflicting duplicate paths`,
      `${v0}.projected.sources[1]: Forbidden: may not specify more than 1 volume type per source`,
      `${v0}.projected.sources[2].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes`,
      `${v0}.projected.path: Required value`,
    ],
  ],
  [
    "with a token of no account",
    {
      "spec.serviceAccountName": undefined,
      "spec.volumes.0": { name: "data", projected: { sources: [{ serviceAccountToken: { path: "t" } }] } },
    },
    [
      `${v0}.projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set`,
    ],
  ],
  [
    "with a claim of its own that asks for nothing",
    { "spec.volumes.0": { name: "data", ephemeral: { volumeClaimTemplate: { metadata: { name: "x" }, spec: {} } } } },
    [
      `${v0}.ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set`,
      `${v0}.ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required`,
      `${v0}.ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value`,
    ],
  ],
  [
    "with an image volume without an image",
    { "spec.volumes.0": { name: "data", image: { pullPolicy: "Odd" } } },
    [
      `${v0}.image.reference: Required value`,
      `${v0}.image.pullPolicy: Unsupported value: "Odd": supported values: "Always", "IfNotPresent", "Never"`,
    ],
  ],
  [
    "with mounts that cannot be",
    {
      [`${c0}.volumeMounts`]: [
        { name: "zz", mountPath: "/a" },
        { name: "data", mountPath: "/a" },
        { name: "data", mountPath: "/b", subPath: "/abs", subPathExpr: "x" },
        { name: "data", mountPath: "/c", mountPropagation: "Bidirectional" },
        { name: "data", mountPath: "/d", recursiveReadOnly: "Enabled" },
        { name: "data", mountPath: "" },
      ],
    },
    [
      `${p0}.volumeMounts[0].name: Not found: "zz"`,
      `${p0}.volumeMounts[1].mountPath: Invalid value: "/a": must be unique`,
      `${p0}.volumeMounts.subPath: Invalid value: "/abs": must be a relative path`,
      `${p0}.volumeMounts[2].subPathExpr: Invalid value: "x": subPathExpr and subPath are mutually exclusive`,
      `${p0}.volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers`,
      `${p0}.volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true`,
      `${p0}.volumeMounts[5].mountPath: Required value`,
    ],
  ],
  [
    "with devices that are no devices",
    {
      [`${c0}.volumeDevices`]: [
        { name: "data", devicePath: "/dev/../x" },
        { name: "zz", devicePath: "" },
      ],
    },
    [
      `${p0}.volumeDevices[0].name: Invalid value: "data": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode`,
      `${p0}.volumeDevices[0].devicePath: Invalid value: "/dev/../x": can not contain backsteps ('..')`,
      `${p0}.volumeDevices[1].name: Not found: "zz"`,
      `${p0}.volumeDevices[1].devicePath: Required value`,
    ],
  ],
];

const resources: Refusal[] = [
  [
    "with requests above limits",
    { [`${c0}.resources`]: { requests: { cpu: "2" }, limits: { cpu: "1" } } },
    [`${p0}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`],
  ],
  [
    "with resources of unknown kinds and amounts",
    { [`${c0}.resources`]: { requests: { gold: "1", memory: "-1" } } },
    [
      `${p0}.resources.requests[gold]: Invalid value: "gold": must be a standard resource type or fully qualified`,
      `${p0}.resources.requests[gold]: Invalid value: "gold": must be a standard resource for containers`,
      `${p0}.resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0`,
    ],
  ],
  [
    "with devices in halves and without limits",
    { [`${c0}.resources`]: { requests: { "a.test/gpu": "500m" } } },
    [
      `${p0}.resources.requests[a.test/gpu]: Invalid value: "500m": must be an integer`,
      `${p0}.resources.limits: Required value: Limit must be set for non overcommitable resources`,
    ],
  ],
  [
    "with huge pages alone and in parts",
    { [`${c0}.resources`]: { limits: { "hugepages-2Mi": "3Mi" } } },
    [
      `${p0}.resources.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi`,
      `${p0}.resources.requests[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi`,
      `${p0}.resources: Forbidden: HugePages require cpu or memory`,
    ],
  ],
  [
    "with claims of devices that the pod has not",
    { [`${c0}.resources`]: { claims: [{ name: "gpu" }, { name: "gpu" }, { name: "" }] } },
    [
      `${p0}.resources.claims[0]: Not found: "gpu": must be one of the names in pod.spec.resourceClaims which is empty`,
      `${p0}.resources.claims[1]: Duplicate value: "gpu"`,
      `${p0}.resources.claims[1]: Not found: "gpu": must be one of the names in pod.spec.resourceClaims which is empty`,
      `${p0}.resources.claims[2]: Required value`,
    ],
  ],
  [
    "with claims that name nothing, or twice",
    { "spec.resourceClaims": [{ name: "a" }, { name: "a", resourceClaimName: "x", resourceClaimTemplateName: "y" }] },
    [
      'spec.resourceClaims[0]: Invalid value: {"Name":"a","ResourceClaimName":null,"ResourceClaimTemplateName":null}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`',
      'spec.resourceClaims[1].name: Duplicate value: "a"',
      'spec.resourceClaims[1]: Invalid value: {"Name":"a","ResourceClaimName":"x","ResourceClaimTemplateName":"y"}: at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified',
    ],
  ],
  [
    "when the whole gets less than its parts",
    {
      "spec.resources": { requests: { cpu: "1", "a.test/gpu": "1" }, limits: { cpu: "2", "a.test/gpu": "1" } },
      [`${c0}.resources`]: { requests: { cpu: "2" }, limits: { cpu: "3" } },
    },
    [
      'spec.resources.limits[a.test/gpu]: Unsupported value: "a.test/gpu": supported values: "cpu", "hugepages-", "memory"',
      'spec.resources.requests[a.test/gpu]: Unsupported value: "a.test/gpu": supported values: "cpu", "hugepages-", "memory"',
      'spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 2',
      'spec.resources.containers[0][cpu].limits: Invalid value: "3": must be less than or equal to pod limits of 2',
    ],
  ],
];

const security: Refusal[] = [
  [
    "that runs as nobody could",
    { "spec.securityContext": { runAsUser: -1, fsGroup: -2, supplementalGroups: [-3] } },
    [
      "spec.securityContext.fsGroup: Invalid value: -2: must be between 0 and 2147483647, inclusive",
      "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
      "spec.securityContext.supplementalGroups[0]: Invalid value: -3: must be between 0 and 2147483647, inclusive",
    ],
  ],
  [
    "with profiles that are not there",
    {
      "spec.securityContext": { seccompProfile: { type: "Localhost" }, appArmorProfile: { type: "" } },
      [`${c0}.securityContext`]: {
        seccompProfile: { type: "Unconfined", localhostProfile: "x" },
        appArmorProfile: { type: "Localhost", localhostProfile: " x" },
      },
    },
    [
      `${p0}.securityContext.seccompProfile.localhostProfile: Invalid value: {"Type":"Unconfined","LocalhostProfile":"x"}: can only be set when seccomp type is Localhost`,
      `${p0}.securityContext.appArmorProfile.localhostProfile: Invalid value: " x": must not be padded with whitespace`,
      "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
      "spec.securityContext.appArmorProfile.type: Required value: type is required when appArmorProfile is set",
    ],
  ],
  [
    "that is privileged and may not become so",
    { [`${c0}.securityContext`]: { privileged: true, allowPrivilegeEscalation: false } },
    [
      expectContaining(
        `${p0}.securityContext: Invalid value: {"Capabilities":null,"Privileged":true`,
        "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
      ),
    ],
  ],
  [
    "that shares processes with itself and the host",
    { "spec.hostPID": true, "spec.shareProcessNamespace": true },
    [
      "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled",
    ],
  ],
  [
    "with settings of the kernel that are none, twice, or the host's",
    {
      "spec.hostNetwork": true,
      "spec.securityContext": {
        sysctls: [
          { name: "Bad Name", value: "1" },
          { name: "kernel.shm_rmid_forced", value: "1" },
          { name: "kernel.shm_rmid_forced", value: "1" },
          { name: "net.core.somaxconn", value: "1" },
        ],
      },
    },
    [
      'spec.securityContext.sysctls[0].name: Invalid value: "Bad Name": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$',
      'spec.securityContext.sysctls[2].name: Duplicate value: "kernel.shm_rmid_forced"',
      "spec.securityContext.sysctls[3].name: Invalid value: \"net.core.somaxconn\": may not be specified when 'hostNetwork' is true",
    ],
  ],
  [
    "with users of its own in namespaces of the host",
    { "spec.hostUsers": false, "spec.hostNetwork": true, "spec.hostPID": true, "spec.hostIPC": true },
    [
      "spec.hostNetwork: Forbidden: when `hostUsers` is false",
      "spec.HostPID: Forbidden: when `hostUsers` is false",
      "spec.HostIPC: Forbidden: when `hostUsers` is false",
    ],
  ],
  [
    "for Windows with what only Linux knows",
    {
      "spec.os": { name: "windows" },
      "spec.securityContext": { fsGroup: 1, windowsOptions: { runAsUserName: "a\\b\\c" } },
      [`${c0}.securityContext`]: { privileged: true },
    },
    [
      'spec.securityContext.windowsOptions.runAsUserName: Invalid value: "a\\\\b\\\\c": runAsUserName cannot contain more than one backslash',
      "spec.securityContext.fsGroup: Forbidden: cannot be set for a windows pod",
      `${p0}.securityContext.privileged: Forbidden: cannot be set for a windows pod`,
    ],
  ],
  [
    "for Linux with what only Windows knows",
    { "spec.os": { name: "linux" }, [`${c0}.securityContext`]: { windowsOptions: { gmsaCredentialSpec: "" } } },
    [
      `${p0}.securityContext.windowsOptions.gmsaCredentialSpec: Invalid value: "": gmsaCredentialSpec cannot be an empty string`,
      `${p0}.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod`,
    ],
  ],
];

function expectContaining(...parts: string[]): object {
  return { asymmetricMatch: (value: unknown) => parts.every((part) => String(value).includes(part)) };
}

const scheduling: Refusal[] = [
  [
    "that wants nodes by nothing",
    {
      "spec.affinity": {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [
              {
                matchExpressions: [
                  { key: "a", operator: "In", values: ["b c"] },
                  { key: "a", operator: "Exists", values: ["b"] },
                  { key: "a", operator: "Gt" },
                ],
                matchFields: [{ key: "spec.x", operator: "In", values: ["a", "b"] }],
              },
            ],
          },
          preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 0, preference: {} }],
        },
      },
    },
    [
      `spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values[0]: Invalid value: "b c": ${labelValue}`,
      "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
      "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[2].values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'",
      "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].values: Required value: must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
      'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key: Invalid value: "spec.x": not a valid field selector key',
      "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100",
    ],
  ],
  [
    "that avoids pods by no topology",
    {
      "spec.affinity": {
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [
            { topologyKey: "", namespaces: ["A"], matchLabelKeys: ["app"] },
          ],
        },
      },
    },
    [
      `spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespace: Invalid value: "A": ${label}`,
      "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
      "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty",
      'spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": name part must be non-empty',
      `spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: "": ${namePart}`,
    ],
  ],
  [
    "that tolerates in ways nobody knows",
    {
      "spec.tolerations": [
        { operator: "Equal" },
        { key: "a", operator: "Exists", value: "b" },
        { key: "a", operator: "Near" },
        { key: "a", operator: "Gt", value: "1" },
        { key: "a", effect: "NoSchedule", tolerationSeconds: 5 },
        { key: "a", effect: "Never" },
      ],
    },
    [
      'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"',
      "spec.tolerations[1].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
      'spec.tolerations[2].operator: Unsupported value: "Near": supported values: "Equal", "Exists"',
      'spec.tolerations[3].operator: Unsupported value: "Gt": supported values: "Equal", "Exists", "Lt", "Gt"',
      "spec.tolerations[4].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set",
      'spec.tolerations[5].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    ],
  ],
  [
    "that spreads over nothing",
    {
      "spec.topologySpreadConstraints": [
        { maxSkew: 0, topologyKey: "", whenUnsatisfiable: "X", minDomains: 0 },
        { maxSkew: 1, topologyKey: "z", whenUnsatisfiable: "DoNotSchedule", matchLabelKeys: ["a"] },
        { maxSkew: 1, topologyKey: "z", whenUnsatisfiable: "DoNotSchedule", nodeTaintsPolicy: "Q" },
      ],
    },
    [
      "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
      "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
      'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "X": supported values: "DoNotSchedule", "ScheduleAnyway"',
      "spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: must be greater than zero",
      "spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not X",
      'spec.topologySpreadConstraints[1].{topologyKey, whenUnsatisfiable}: Duplicate value: "{z, DoNotSchedule}"',
      "spec.topologySpreadConstraints[1].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set",
      'spec.topologySpreadConstraints[2].nodeTaintsPolicy: Unsupported value: "Q": supported values: "Honor", "Ignore"',
    ],
  ],
  [
    "that selects by its own labels twice",
    {
      "metadata.labels": { a: "1" },
      "spec.topologySpreadConstraints": [
        {
          maxSkew: 1,
          topologyKey: "z",
          whenUnsatisfiable: "DoNotSchedule",
          labelSelector: { matchLabels: { a: "1" } },
          matchLabelKeys: ["a"],
        },
      ],
    },
    ['spec.topologySpreadConstraints[0][0]: Invalid value: "a": exists in both matchLabelKeys and labelSelector'],
  ],
  [
    "behind gates and already somewhere",
    { "spec.schedulingGates": [{ name: "a b" }, { name: "x" }, { name: "x" }], "spec.nodeName": "n1" },
    [
      `spec.schedulingGates[0]: Invalid value: "a b": ${namePart}`,
      'spec.schedulingGates[2]: Duplicate value: "x"',
      "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
    ],
  ],
  ["on a node with no name", { "spec.nodeName": "N_1" }, [`spec.nodeName: Invalid value: "N_1": ${subdomain}`]],
  [
    "for nodes with odd labels",
    { "spec.nodeSelector": { a: "b c" } },
    [`spec.nodeSelector: Invalid value: "b c": ${labelValue}`],
  ],
];

const others: Refusal[] = [
  [
    "with a restart policy nobody knows",
    { "spec.restartPolicy": "Sometimes" },
    ['spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"'],
  ],
  [
    "with a DNS policy nobody knows",
    { "spec.dnsPolicy": "Guess" },
    [
      'spec.dnsPolicy: Unsupported value: "Guess": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"',
    ],
  ],
  [
    "without a name server",
    { "spec.dnsPolicy": "None", "spec.dnsConfig": {} },
    ["spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None"],
  ],
  [
    "with too much DNS",
    { "spec.dnsConfig": { nameservers: ["1.1.1.1", "2.2.2.2", "3.3.3.3", "x"], searches: ["A b"], options: [{}] } },
    [
      'spec.dnsConfig.nameservers: Invalid value: ["1.1.1.1","2.2.2.2","3.3.3.3","x"]: must not have more than 3 nameservers',
      'spec.dnsConfig.nameservers[3]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      expectContaining('spec.dnsConfig.searches[0]: Invalid value: "A b":'),
      "spec.dnsConfig.options[0]: Required value: must not be empty",
    ],
  ],
  [
    "with hosts that are none",
    { "spec.hostAliases": [{ ip: "x", hostnames: ["a", "B"] }] },
    [
      'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      `spec.hostAliases[0].hostnames[1]: Invalid value: "B": ${subdomain}`,
    ],
  ],
  [
    "named after a host that cannot be",
    { "spec.hostname": "a.b" },
    ['spec.hostname: Invalid value: "a.b": must not contain dots'],
  ],
  [
    "with a host's name given twice",
    { "spec.hostnameOverride": "a", "spec.setHostnameAsFQDN": true, "spec.hostNetwork": true },
    [
      "spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true",
      "spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true",
    ],
  ],
  [
    "with no time to live",
    { "spec.activeDeadlineSeconds": 0 },
    ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"],
  ],
  [
    "of classes that cannot be",
    { "spec.priorityClassName": "A", "spec.runtimeClassName": "", "spec.preemptionPolicy": "Q" },
    [
      `spec.priorityClassName: Invalid value: "A": ${subdomain}`,
      `spec.runtimeClassName: Invalid value: "": ${subdomain}`,
      'spec.preemptionPolicy: Unsupported value: "Q": supported values: "PreemptLowerPriority", "Never"',
    ],
  ],
  [
    "for a system nobody knows",
    { "spec.os": { name: "beos" } },
    ['spec.os: Unsupported value: "beos": supported values: "linux", "windows"'],
  ],
  [
    "with annotations that mean something else",
    {
      "metadata.annotations": {
        "controller.kubernetes.io/pod-deletion-cost": "+1",
        "kubernetes.io/config.mirror": "x",
        "container.apparmor.security.beta.kubernetes.io/zz": "odd",
      },
    },
    [
      'metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": must set spec.nodeName if mirror pod annotation is set',
      'metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "+1": must be a 32bit integer',
      'metadata.annotations[container.apparmor.security.beta.kubernetes.io/zz]: Invalid value: "zz": container not found',
      'metadata.annotations[container.apparmor.security.beta.kubernetes.io/zz]: Invalid value: "odd": invalid AppArmor profile name: "odd"',
    ],
  ],
];

refuses(pods, valid, [...containers, ...environment, ...volumes, ...resources, ...security, ...scheduling, ...others]);

const mayNotChange = (change: string) =>
  expectContaining(
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n",
    change,
  );

refusesChanges(pods, valid, [
  ["of an image is fine", { [`${c0}.image`]: "nginx:1.28" }, []],
  [
    "to no image is reported by both looks at it",
    { [`${c0}.image`]: "" },
    [`${p0}.image: Required value`, `${p0}.image: Required value`],
    { [`${c0}.imagePullPolicy`]: "Always" },
  ],
  ["of a node is not", { "spec.nodeName": "n9" }, [mayNotChange('+ "NodeName": "n9",')]],
  ["of a command is not", { [`${c0}.command`]: ["a"] }, [mayNotChange('"Command"')]],
  [
    "may not add containers",
    { "spec.containers.1": { name: "two", image: "b" } },
    ["spec.containers: Forbidden: pod updates may not add or remove containers"],
  ],
  ["may shorten the time to live", { "spec.activeDeadlineSeconds": 5 }, [], { "spec.activeDeadlineSeconds": 9 }],
  [
    "may not lengthen the time to live",
    { "spec.activeDeadlineSeconds": 9 },
    ["spec.activeDeadlineSeconds: Invalid value: 9: must be less than or equal to previous value"],
    { "spec.activeDeadlineSeconds": 5 },
  ],
  [
    "may not take the time to live away",
    { "spec.activeDeadlineSeconds": undefined },
    ["spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"],
    { "spec.activeDeadlineSeconds": 5 },
  ],
  [
    "may add tolerations",
    { "spec.tolerations.1": { key: "b", operator: "Exists" } },
    [],
    { "spec.tolerations": [{ key: "a", operator: "Exists" }] },
  ],
  [
    "may not take tolerations away",
    { "spec.tolerations": [] },
    ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"],
    { "spec.tolerations": [{ key: "a", operator: "Exists" }] },
  ],
  ["may open gates", { "spec.schedulingGates": [] }, [], { "spec.schedulingGates": [{ name: "x" }] }],
  [
    "may not close gates",
    { "spec.schedulingGates": [{ name: "x" }] },
    ["spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'x'"],
  ],
  [
    "may narrow the nodes of a pod behind a gate",
    { "spec.nodeSelector": { a: "b" }, "spec.affinity": { nodeAffinity: {} } },
    [],
    { "spec.schedulingGates": [{ name: "x" }] },
  ],
  [
    "may not widen them",
    { "spec.nodeSelector": {} },
    [
      "spec.nodeSelector: Invalid value: {}: only additions to spec.nodeSelector are allowed (no mutations or deletions)",
    ],
    { "spec.schedulingGates": [{ name: "x" }], "spec.nodeSelector": { a: "b" } },
  ],
  [
    "may mend a negative grace period",
    { "spec.terminationGracePeriodSeconds": 1 },
    [],
    { "spec.terminationGracePeriodSeconds": -5 },
  ],
  [
    "may not touch the mark of a mirror",
    { "metadata.annotations": { "kubernetes.io/config.mirror": "y" } },
    ["metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not remove or update mirror pod annotation"],
    { "metadata.annotations": { "kubernetes.io/config.mirror": "x" }, "spec.nodeName": "n1" },
  ],
]);

const cpu = (amount: string) => ({ requests: { cpu: amount } });
refusesChanges(
  pods,
  valid,
  [
    ["to more cpu is fine", { [`${c0}.resources`]: cpu("2") }, [], { [`${c0}.resources`]: cpu("1") }],
    [
      "may not change how it is treated",
      { [`${c0}.resources`]: { requests: { cpu: "1", memory: "1Gi" }, limits: { cpu: "1", memory: "1Gi" } } },
      ['spec: Invalid value: "": Pod QOS Class may not change as a result of resizing'],
      { [`${c0}.resources`]: cpu("1"), status: {} },
    ],
    [
      "may not take a request away",
      { [`${c0}.resources`]: cpu("1") },
      [`${p0}.resources.requests: Forbidden: resource requests cannot be removed`],
      { [`${c0}.resources`]: { requests: { cpu: "1", memory: "1Gi" } } },
    ],
    [
      "is of cpu and memory alone",
      { [`${c0}.resources.requests.ephemeral-storage`]: "2Gi" },
      ["spec: Forbidden: only cpu and memory resources are mutable"],
      { [`${c0}.resources`]: { requests: { cpu: "1", "ephemeral-storage": "1Gi" } } },
    ],
    [
      "may not rename containers",
      { [`${c0}.name`]: "other" },
      [`${p0}.name: Forbidden: containers may not be renamed or reordered on resize`],
    ],
  ],
  "resize",
);

refusesChanges(
  pods,
  valid,
  [
    [
      "may not bring back what ended",
      { "status.containerStatuses": [{ name: "main", state: { running: {} } }] },
      ["status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"],
      {
        "spec.restartPolicy": "Never",
        "status.containerStatuses": [{ name: "main", state: { terminated: { exitCode: 0 } } }],
      },
    ],
    [
      "may not have addresses that are none",
      { status: { podIPs: [{ ip: "x" }], hostIP: "10.0.0.1", hostIPs: [{ ip: "10.0.0.2" }] } },
      [
        'status.podIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        'status.hostIPs[0].ip: Invalid value: "10.0.0.2": must be equal to `hostIP`',
      ],
    ],
    [
      "may not have two addresses of a kind",
      { status: { podIPs: [{ ip: "10.0.0.1" }, { ip: "10.0.0.2" }] } },
      [
        'status.podIPs: Invalid value: [{"IP":"10.0.0.1"},{"IP":"10.0.0.2"}]: may specify no more than one IP for each IP family',
      ],
    ],
    [
      "may not tell of users, devices and addresses that cannot be",
      {
        status: {
          podIPs: [{ ip: "10.0.0.1" }, { ip: "10.0.0.1" }],
          containerStatuses: [
            {
              name: "main",
              user: { linux: { uid: -1, gid: 0, supplementalGroups: [-2] } },
              allocatedResourcesStatus: [
                { name: "a.test/b", resources: [{ resourceID: "x", health: "Odd" }, { resourceID: "x" }] },
              ],
            },
          ],
          ephemeralContainerStatuses: [{ name: "e", allocatedResourcesStatus: [{ name: "a.test/b" }] }],
        },
      },
      expect.arrayContaining([
        'status.podIPs[1]: Duplicate value: {"IP":"10.0.0.1"}',
        "status.containerStatuses[0].linux.uid: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        "status.containerStatuses[0].linux.supplementalGroups[0]: Invalid value: -2: must be between 0 and 2147483647, inclusive",
        'status.containerStatuses[0].allocatedResourcesStatus[0].name: Invalid value: "a.test/b": must match one of the container\'s resource requests',
        'status.containerStatuses[0].allocatedResourcesStatus[0].resources[0].health: Unsupported value: "Odd": supported values: "Healthy", "Unhealthy", "Unknown"',
        'status.containerStatuses[0].allocatedResourcesStatus[0].resources[1].resourceID: Duplicate value: "x"',
        "status.ephemeralContainerStatuses[0].allocatedResourcesStatus: Forbidden: must not be specified in container status",
      ]),
    ],
    [
      "may not nominate a node for a pod that has one",
      { "status.nominatedNodeName": "n2" },
      ["status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node"],
      { "spec.nodeName": "n1", status: {} },
    ],
    [
      "may not have conditions without a proper name",
      { "status.conditions": [{ type: "a b", status: "True", observedGeneration: -1 }] },
      [
        "status.conditions[0].observedGeneration: Invalid value: -1: must be a non-negative integer",
        `status.conditions[0].Type: Invalid value: "a b": ${namePart}`,
      ],
    ],
  ],
  "status",
);
