/** One short manifest for each thing that a pod can ask of its node; what the pod says of itself shows whether it got it. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { findProgram } from "../src/base/node/find-program.ts";
import { canRunContainerd } from "../src/kubelet/runtime/cri/containerd.fixture.ts";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

interface Feature {
  /** Of the pod's spec, in YAML's flow style. */
  pod?: string;
  /** Of its container. */
  container?: string;
  /** Run in the pod; what it prints is looked at. */
  script: string;
  says: RegExp;
  /** What `kubectl get pod -o jsonpath=` prints of it then. */
  status?: { path: string; says: RegExp };
  /** The runtime has no part in it but to mount, start and write what it is told: it is shown with the built-in one alone. */
  byKubelet?: true;
  /** Why a runtime cannot be asked for it. */
  notIn?: Partial<Record<Runtime, string>>;
}

/** Each runtime has a node: the built-in one's, and one whose pods run in containerd, by the CRI. */
const runtimes = canRunContainerd ? (["pinnace", "containerd"] as const) : (["pinnace"] as const);
type Runtime = (typeof runtimes)[number];

/** What the pods refer to. */
const objects = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue, size: big}
binaryData: {raw: AAECAw==}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {token: s3cret}
---
apiVersion: v1
kind: Namespace
metadata: {name: elsewhere}
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: elsewhere}
stringData: {token: of another}
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: fast}
handler: crun
overhead: {podFixed: {cpu: 10m, memory: 1Mi}}
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: of-containerd}
handler: runc
`;

const hasNfs = findProgram("mount.nfs") !== undefined && /\tnfs/.test(readFileSync("/proc/filesystems", "utf8"));

const noUserNamespaces = "containerd has had user namespaces for pods since 2.0: told in the table of refusals";

const hasAppArmor = existsSync("/sys/kernel/security/apparmor");

const features: Record<string, Feature> = {
  hostNetwork: { pod: "hostNetwork: true", script: "ip addr", says: /cni0|pods0|: veth/ },
  hostPID: { pod: "hostPID: true", script: "ps | wc -l", says: /^\d{2,}$/m },
  hostIPC: { pod: "hostIPC: true", script: "df /dev/shm | tail -1; echo done", says: /done/ },
  hostAliases: {
    byKubelet: true,
    pod: "hostAliases: [{ip: 10.9.8.7, hostnames: [one.example, two.example]}]",
    script: "cat /etc/hosts",
    says: /^10\.9\.8\.7\tone\.example\ttwo\.example$/m,
  },
  hostname: {
    pod: "hostname: named, subdomain: sub",
    script: "hostname; cat /etc/hosts",
    says: /^named\n[\s\S]*\tnamed\.sub\.default\.svc\.cluster\.local\tnamed/,
  },
  setHostnameAsFQDN: {
    pod: "hostname: named, subdomain: sub, setHostnameAsFQDN: true",
    script: "hostname",
    says: /^named\.sub\.default\.svc\.cluster\.local$/m,
  },
  "dnsPolicy None": {
    pod: "dnsPolicy: None, dnsConfig: {nameservers: [9.9.9.9], searches: [a.example], options: [{name: ndots, value: '2'}]}",
    script: "cat /etc/resolv.conf",
    says: /^search a\.example\nnameserver 9\.9\.9\.9\noptions ndots:2$/m,
  },
  "dnsConfig on top": {
    byKubelet: true,
    pod: "dnsConfig: {searches: [more.example]}",
    script: "cat /etc/resolv.conf",
    says: /^search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local.* more\.example$/m,
  },
  sysctls: {
    pod: "securityContext: {sysctls: [{name: net.ipv4.ip_local_port_range, value: '2000 3000'}, {name: kernel.shm_rmid_forced, value: '1'}]}",
    script: "cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/kernel/shm_rmid_forced",
    says: /^2000\t3000\n1$/m,
  },
  "unsafe sysctls that the cluster's administrator allows": {
    pod: "securityContext: {sysctls: [{name: kernel.msgmax, value: '65536'}, {name: net/core/somaxconn, value: '1024'}]}",
    script: "cat /proc/sys/kernel/msgmax /proc/sys/net/core/somaxconn",
    says: /^65536\n1024$/m,
  },
  "runAsUser and groups": {
    pod: "securityContext: {runAsUser: 1001, runAsGroup: 2002, supplementalGroups: [3003], fsGroup: 4004}",
    script: "id -u; id -g; id -G",
    says: /^1001\n2002\n2002 (4004 3003|3003 4004)$/m,
  },
  "supplementalGroupsPolicy Strict": {
    notIn: { containerd: "containerd has had it since 2.0: told in the table of refusals" },
    status: {
      path: "{.status.containerStatuses[0].user.linux}",
      says: /^{"gid":0,"supplementalGroups":\[0,3003\],"uid":0}$/,
    },
    pod: "securityContext: {runAsUser: 0, supplementalGroups: [3003], supplementalGroupsPolicy: Strict}",
    script: "id -G",
    says: /^0 3003$/m,
  },
  "fsGroup on a volume": {
    pod: "securityContext: {runAsUser: 1001, fsGroup: 4004}, volumes: [{name: v, emptyDir: {}}]",
    container: "volumeMounts: [{name: v, mountPath: /v}]",
    script: "touch /v/new && stat -c '%g %a' /v && stat -c %g /v/new",
    says: /^4004 2777\n4004$/m,
  },
  "capabilities added and dropped": {
    container: "securityContext: {capabilities: {drop: [ALL], add: [NET_ADMIN]}}",
    script: "grep CapEff /proc/self/status",
    says: /0000000000001000$/m,
  },
  "allowPrivilegeEscalation false": {
    container: "securityContext: {allowPrivilegeEscalation: false}",
    script: "grep NoNewPrivs /proc/self/status",
    says: /1$/m,
  },
  "seccomp RuntimeDefault": {
    container: "securityContext: {seccompProfile: {type: RuntimeDefault}}",
    script: "grep Seccomp: /proc/self/status; unshare -U true 2>&1 || echo refused",
    says: /2\n[\s\S]*refused/,
  },
  "seccomp Unconfined": {
    container: "securityContext: {seccompProfile: {type: Unconfined}}",
    script: "grep Seccomp: /proc/self/status",
    says: /0$/m,
  },
  readOnlyRootFilesystem: {
    container: "securityContext: {readOnlyRootFilesystem: true}",
    script: "touch /x 2>&1 || true",
    says: /Read-only file system/,
  },
  privileged: {
    container: "securityContext: {privileged: true}",
    script: "test -b /dev/loop0 -o -c /dev/kmsg && mkdir /m && mount -t tmpfs none /m && echo mounted",
    says: /mounted/,
  },
  "not privileged": { script: "mount -t tmpfs none /mnt 2>&1 || echo refused; ls /dev", says: /refused/ },
  "procMount masked by default": {
    script: "head -c 10 /proc/kcore 2>/dev/null | wc -c; echo 1 > /proc/sys/kernel/panic 2>&1 || echo refused",
    says: /^0\n[\s\S]*refused/,
  },
  shareProcessNamespace: {
    pod: "shareProcessNamespace: true",
    script: "echo first: $(cat /proc/1/comm)",
    says: /^first: (?!sh$)/m,
  },
  "limits are the cgroup's": {
    container: "resources: {limits: {cpu: 500m, memory: 64Mi}}",
    script:
      "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max",
    says: /^67108864\n50000/m,
  },
  "a pids limit": {
    script: "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max",
    says: /^(max|\d+)$/m,
  },
  "OOM score by QoS": { script: "cat /proc/self/oom_score_adj", says: /^1000$/m },
  "emptyDir in memory": {
    pod: "volumes: [{name: v, emptyDir: {medium: Memory, sizeLimit: 8Mi}}]",
    container: "volumeMounts: [{name: v, mountPath: /v}]",
    script: "df /v | tail -1",
    says: /^tmpfs\s+8192/m,
  },
  "emptyDir's mode, on disk and in memory, for one who is not root": {
    pod: "securityContext: {runAsUser: 1001}, volumes: [{name: d, emptyDir: {}}, {name: m, emptyDir: {medium: Memory}}]",
    container: "volumeMounts: [{name: d, mountPath: /d}, {name: m, mountPath: /m}]",
    script:
      "for v in /d /m; do stat -c %a $v; for m in 0644 0666 0777; do echo $m > $v/$m; chmod $m $v/$m; stat -c '%a %u' $v/$m; cat $v/$m; done; done",
    says: /^(777\n644 1001\n0644\n666 1001\n0666\n777 1001\n0777\n){2}$/,
  },
  "subPath and subPathExpr": {
    byKubelet: true,
    pod: "volumes: [{name: v, emptyDir: {}}]",
    container:
      "env: [{name: WHO, value: me}], volumeMounts: [{name: v, mountPath: /a, subPath: x/y}, {name: v, mountPath: /b, subPathExpr: $(WHO)}, {name: v, mountPath: /v}]",
    script: "touch /a/f /b/g; cd /v; find . -type f | sort",
    says: /^\.\/me\/g\n\.\/x\/y\/f$/m,
  },
  "downward API": {
    byKubelet: true,
    container:
      "resources: {limits: {cpu: '1', memory: 32Mi}}, env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}, {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}, {name: MEM, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}, {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]",
    script: "echo $IP $CPU $MEM $NODE",
    says: /^10\.\d+\.\d+\.\d+ 1 32 \S+$/m,
  },
  "variables compose": {
    byKubelet: true,
    container: "env: [{name: A, value: a}, {name: B, value: '$(A)-$$(A)-$(NONE)'}]",
    script: "echo $B",
    says: /^a-\$\(A\)-\$\(NONE\)$/m,
  },
  "service variables": { byKubelet: true, script: "echo $KUBERNETES_SERVICE_HOST", says: /^10\./m },
  "a projected token": {
    byKubelet: true,
    pod: "volumes: [{name: t, projected: {sources: [{serviceAccountToken: {path: token, audience: me}}, {downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}]}}]",
    container: "volumeMounts: [{name: t, mountPath: /t}]",
    script: "cut -c1-3 /t/token; cat /t/name",
    says: /^eyJ\n/m,
  },
  workingDir: { container: "workingDir: /tmp", script: "pwd", says: /^\/tmp$/m },
  "an image as a volume": {
    pod: "volumes: [{name: i, image: {reference: busybox}}]",
    container: "volumeMounts: [{name: i, mountPath: /image}]",
    script: "ls /image/bin/sh && touch /image/x 2>&1 || echo refused",
    says: /\/image\/bin\/sh\n[\s\S]*refused/,
  },
  "an image's folder as a volume, and an image that is nowhere for a volume that nobody mounts": {
    pod: "volumes: [{name: i, image: {reference: busybox}}, {name: none, image: {reference: 'localhost/none:1', pullPolicy: Never}}]",
    container: "volumeMounts: [{name: i, mountPath: /programs, subPath: bin}]",
    script: "ls /programs/sh",
    says: /^\/programs\/sh$/m,
  },
  "user namespace": {
    notIn: { containerd: noUserNamespaces },
    pod: "hostUsers: false, volumes: [{name: v, emptyDir: {}}, {name: c, configMap: {name: settings}}, {name: i, hostPath: {path: /etc, type: Directory}}, {name: m, image: {reference: busybox}}]",
    container:
      "volumeMounts: [{name: v, mountPath: /v}, {name: c, mountPath: /c}, {name: i, mountPath: /etc-of-machine, readOnly: true}, {name: m, mountPath: /image}]",
    script:
      "set -- $(cat /proc/self/uid_map); echo $1 $(test $2 -ge 65536 && echo shifted) $3; id -u; touch /v/new; stat -c %u /v /v/new /c/colour /etc-of-machine/passwd /bin /image/bin; cat /c/colour; cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; hostname",
    says: /^0 shifted 65536\n0\n0\n0\n0\n0\n0\n0\nbluedefaultuser-namespace$/m,
  },
  "user namespace: root of the pod is nobody on the machine": {
    notIn: { containerd: noUserNamespaces },
    pod: "hostUsers: false, volumes: [{name: i, hostPath: {path: /proc/1, type: Directory}}]",
    script:
      "mount -t tmpfs none /mnt 2>&1 || echo refused; nc -l -p 80 -e true & sleep 0.2; netstat -ltn | grep -c ':80 '",
    says: /^1$/m,
  },
  "procMount Unmasked, in a user namespace": {
    notIn: { containerd: noUserNamespaces },
    pod: "hostUsers: false",
    container: "securityContext: {procMount: Unmasked}",
    script: "grep -c '/proc/kcore' /proc/self/mountinfo",
    says: /^0$/m,
  },
  "variables from a file of the pod": {
    byKubelet: true,
    pod: "volumes: [{name: v, emptyDir: {}}], initContainers: [{name: first, image: busybox, command: [sh, -c, 'printf \"ADDRESS=\\047here and there\\047\" > /v/app.env'], volumeMounts: [{name: v, mountPath: /v}]}]",
    container: "env: [{name: ADDRESS, valueFrom: {fileKeyRef: {volumeName: v, path: app.env, key: ADDRESS}}}]",
    script: "echo $ADDRESS; ls / | grep -c '^v$'",
    says: /^here and there\n0$/m,
  },
  "variables from ConfigMaps and Secrets": {
    byKubelet: true,
    container:
      "envFrom: [{configMapRef: {name: settings}, prefix: CFG_}, {secretRef: {name: keys}}], env: [{name: C, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}, {name: S, valueFrom: {secretKeyRef: {name: keys, key: token}}}, {name: NONE, valueFrom: {secretKeyRef: {name: none, key: k, optional: true}}}]",
    script: "echo $CFG_colour $CFG_size $token $C $S [$NONE]",
    says: /^blue big s3cret blue s3cret \[\]$/m,
  },
  "args and command with variables": {
    byKubelet: true,
    container: "env: [{name: WHO, value: you}], args: ['hello $(WHO)', $$(WHO)]",
    script: 'echo "$0 | $1"',
    says: /^hello you \| \$\(WHO\)$/m,
  },
  "a ConfigMap's files, chosen, renamed, with modes": {
    byKubelet: true,
    pod: "securityContext: {runAsUser: 1001, fsGroup: 1001}, volumes: [{name: v, configMap: {name: settings, defaultMode: 0400, items: [{key: colour, path: deep/tint}, {key: raw, path: raw, mode: 0440}]}}]",
    container: "volumeMounts: [{name: v, mountPath: /v}, {name: v, mountPath: /again, subPath: deep/tint}]",
    script: "cd /v; cat deep/tint; echo; stat -Lc '%a %g' deep/tint raw; wc -c < raw; cat /again; ls",
    says: /^blue\n4[04]0 1001\n440 1001\n4\nbluedeep\nraw$/m,
  },
  "a Secret's files, in memory": {
    pod: "volumes: [{name: v, secret: {secretName: keys}}]",
    container: "volumeMounts: [{name: v, mountPath: /v, readOnly: true}]",
    script: "cat /v/token; echo; grep -c ' /v tmpfs' /proc/mounts; touch /v/x 2>&1 || true",
    says: /^s3cret\n1\n.*Read-only/m,
  },
  "files of the downward API": {
    byKubelet: true,
    pod: "volumes: [{name: v, downwardAPI: {defaultMode: 0400, items: [{path: name, fieldRef: {fieldPath: metadata.name}}, {path: cpu, resourceFieldRef: {containerName: main, resource: requests.cpu, divisor: 1m}, mode: 0444}, {path: memory, resourceFieldRef: {containerName: main, resource: limits.memory}}]}}]",
    container: "resources: {requests: {cpu: 20m}}, volumeMounts: [{name: v, mountPath: /v}]",
    script: "cd /v; cat name cpu; echo; stat -Lc %a name cpu; test $(cat memory) -gt 100000000 && echo allocatable",
    says: /^files-of-the-downward-api(?:-in-containerd)?20\n400\n444\nallocatable$/m,
  },
  "one ConfigMap and one Secret in several volumes": {
    byKubelet: true,
    pod: "volumes: [{name: a, configMap: {name: settings}}, {name: b, configMap: {name: settings}}, {name: c, secret: {secretName: keys}}, {name: d, secret: {secretName: keys}}, {name: e, projected: {sources: [{configMap: {name: settings}}, {secret: {name: keys}}]}}, {name: f, projected: {sources: [{configMap: {name: settings}}, {secret: {name: keys}}]}}]",
    container:
      "volumeMounts: [{name: a, mountPath: /a}, {name: b, mountPath: /b}, {name: c, mountPath: /c}, {name: d, mountPath: /d}, {name: e, mountPath: /e}, {name: f, mountPath: /f}]",
    script: "cat /a/colour /b/colour /c/token /d/token /e/colour /e/token /f/colour /f/token",
    says: /^blueblues3crets3cretblues3cretblues3cret$/m,
  },
  "a ConfigMap's file over a file of the image": {
    pod: "volumes: [{name: v, configMap: {name: settings}}]",
    container: "volumeMounts: [{name: v, mountPath: /etc/passwd, subPath: colour}]",
    script: "cat /etc/passwd",
    says: /^blue$/m,
  },
  "all projections in one volume": {
    byKubelet: true,
    pod: "volumes: [{name: v, projected: {sources: [{configMap: {name: settings, items: [{key: colour, path: c}]}}, {secret: {name: keys, items: [{key: token, path: s}]}}, {downwardAPI: {items: [{path: d, fieldRef: {fieldPath: metadata.namespace}}]}}, {serviceAccountToken: {path: t}}]}}]",
    container: "volumeMounts: [{name: v, mountPath: /v}]",
    script: "cd /v; cat c s d; echo; ls | xargs",
    says: /^blues3cretdefault\nc d s t$/m,
  },
  "a folder and a file of the machine, by their types": {
    byKubelet: true,
    pod: "volumes: [{name: d, hostPath: {path: HOME/made, type: DirectoryOrCreate}}, {name: f, hostPath: {path: HOME/made-file, type: FileOrCreate}}, {name: c, hostPath: {path: /dev/null, type: CharDevice}}, {name: s, hostPath: {path: /etc/hostname, type: File}}]",
    container:
      "volumeMounts: [{name: d, mountPath: /d}, {name: f, mountPath: /f}, {name: c, mountPath: /c}, {name: s, mountPath: /s, readOnly: true}]",
    script: "echo in > /d/in; test -f /f && test -c /c && echo x > /c && test -s /s && cat /d/in",
    says: /^in$/m,
  },
  "mounts passed on from one container to another": {
    pod: "volumes: [{name: v, emptyDir: {}}], initContainers: [{name: mounter, image: busybox, restartPolicy: Always, command: [sh, -c, 'mkdir -p /v/m && mount -t tmpfs none /v/m && touch /v/m/there && trap \"umount /v/m; exit\" TERM; while true; do sleep 0.1; done'], securityContext: {privileged: true}, volumeMounts: [{name: v, mountPath: /v, mountPropagation: Bidirectional}]}]",
    container: "volumeMounts: [{name: v, mountPath: /v, mountPropagation: HostToContainer}]",
    script: "for i in $(seq 100); do test -e /v/m/there && break; sleep 0.1; done; ls /v/m",
    says: /^there$/m,
  },
  "two containers share an emptyDir": {
    byKubelet: true,
    pod: "volumes: [{name: v, emptyDir: {}}], initContainers: [{name: writer, image: busybox, restartPolicy: Always, command: [sh, -c, 'echo shared > /v/f; sleep 1000'], volumeMounts: [{name: v, mountPath: /v}]}]",
    container: "volumeMounts: [{name: v, mountPath: /w}]",
    script: "for i in $(seq 100); do test -s /w/f && break; sleep 0.1; done; cat /w/f",
    says: /^shared$/m,
  },
  "emptyDir's mode for root, on disk and in memory": {
    byKubelet: true,
    pod: "volumes: [{name: d, emptyDir: {}}, {name: m, emptyDir: {medium: Memory}}]",
    container: "volumeMounts: [{name: d, mountPath: /d}, {name: m, mountPath: /m}]",
    script:
      "for v in /d /m; do stat -c %a $v; for m in 0644 0666 0777; do echo $m > $v/$m; chmod $m $v/$m; stat -c '%a %u' $v/$m; cat $v/$m; done; done",
    says: /^(777\n644 0\n0644\n666 0\n0666\n777 0\n0777\n){2}$/,
  },
  fsGroupChangePolicy: {
    byKubelet: true,
    pod: "securityContext: {fsGroup: 4004, fsGroupChangePolicy: OnRootMismatch}, volumes: [{name: v, emptyDir: {}}]",
    container: "volumeMounts: [{name: v, mountPath: /v}]",
    script: "stat -c '%g %a' /v",
    says: /^4004 2777$/m,
  },
  "runAsNonRoot with a user": {
    pod: "securityContext: {runAsNonRoot: true, runAsUser: 5}",
    container: "securityContext: {runAsUser: 6}",
    script: "id -u",
    says: /^6$/m,
  },
  "seccomp Localhost": {
    container: "securityContext: {seccompProfile: {type: Localhost, localhostProfile: no-chmod.json}}",
    script: "touch /x; chmod 600 /x 2>&1 || echo refused; grep Seccomp: /proc/self/status",
    says: /refused\nSeccomp:\s*2/,
  },
  "a runtime class": {
    notIn: { containerd: "this class names crun; runc is the next row's" },
    pod: "runtimeClassName: fast",
    script: "echo ran",
    says: /^ran$/m,
    status: { path: "{.spec.overhead.cpu}", says: /^10m$/ },
  },
  ...(canRunContainerd
    ? {
        "a runtime class of containerd": {
          notIn: { pinnace: "its program here is crun" },
          pod: "runtimeClassName: of-containerd",
          script: "echo ran",
          says: /^ran$/m,
        } satisfies Feature,
      }
    : {}),
  "dnsPolicy Default": {
    byKubelet: true,
    pod: "dnsPolicy: Default",
    script: "grep -c cluster.local /etc/resolv.conf",
    says: /^0$/m,
  },
  "dnsPolicy ClusterFirstWithHostNet": {
    pod: "hostNetwork: true, dnsPolicy: ClusterFirstWithHostNet",
    script: "cat /etc/resolv.conf",
    says: /^search default\.svc\.cluster\.local/m,
  },
  "hosts managed by nobody": {
    byKubelet: true,
    pod: "volumes: [{name: v, emptyDir: {}}], initContainers: [{name: first, image: busybox, command: [sh, -c, 'echo mine > /v/h'], volumeMounts: [{name: v, mountPath: /v}]}]",
    container: "volumeMounts: [{name: v, mountPath: /etc/hosts, subPath: h}]",
    script: "cat /etc/hosts",
    says: /^mine$/m,
  },
  "a message at the end, from its file": {
    container: "terminationMessagePath: /tmp/last-words",
    script: "echo -n farewell > /tmp/last-words",
    says: /^$/,
    status: { path: "{.status.containerStatuses[0].state.terminated.message}", says: /^farewell$/ },
  },
  "a message at the end, from a file of its own choice, by one who is not root": {
    byKubelet: true,
    pod: "securityContext: {runAsUser: 1001}",
    container: "terminationMessagePath: /dev/my-last-words",
    script: "echo -n adieu > /dev/my-last-words",
    says: /^$/,
    status: { path: "{.status.containerStatuses[0].state.terminated.message}", says: /^adieu$/ },
  },
  "a message at the end, from the file though the log would do": {
    byKubelet: true,
    container: "terminationMessagePolicy: FallbackToLogsOnError",
    script: "echo logged; echo -n written > /dev/termination-log",
    says: /^logged$/m,
    status: { path: "{.status.containerStatuses[0].state.terminated.message}", says: /^written$/ },
  },
  "a message at the end, from the log": {
    container: "terminationMessagePolicy: FallbackToLogsOnError",
    script: "echo why; exit 3",
    says: /^why$/m,
    status: { path: "{.status.containerStatuses[0].state.terminated.message}", says: /^why\s*$/ },
  },
  "a message at the end, from a log whose line was written in pieces": {
    container: "terminationMessagePolicy: FallbackToLogsOnError",
    script: "/bin/echo -n DO; sleep 0.2; /bin/echo -n NE; exit 3",
    says: /^DONE$/m,
    status: { path: "{.status.containerStatuses[0].state.terminated.message}", says: /^DONE\n$/ },
  },
  "its own terminationMessagePath is not read when the policy and success say so": {
    byKubelet: true,
    container: "terminationMessagePolicy: FallbackToLogsOnError",
    script: "echo fine",
    says: /^fine$/m,
    status: { path: "[{.status.containerStatuses[0].state.terminated.message}]", says: /^\[\]$/ },
  },
  "a postStart hook": {
    container: "lifecycle: {postStart: {exec: {command: [sh, -c, 'touch /hooked']}}}",
    script: "for i in $(seq 100); do test -e /hooked && break; sleep 0.1; done; ls /hooked",
    says: /^\/hooked$/m,
  },
  "restart rules by exit code": {
    byKubelet: true,
    pod: "volumes: [{name: v, emptyDir: {}}]",
    container:
      "restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}], volumeMounts: [{name: v, mountPath: /v}]",
    script: "echo x >> /v/runs; test $(wc -l < /v/runs) = 2 && echo twice && exit 0; exit 42",
    says: /^twice$/m,
    status: { path: "{.status.phase} {.status.containerStatuses[0].restartCount}", says: /^Succeeded 1$/ },
  },
  "all containers restart by a rule": {
    byKubelet: true,
    pod: "volumes: [{name: v, emptyDir: {}}], initContainers: [{name: first, image: busybox, command: [sh, -c, echo x >> /v/inits], volumeMounts: [{name: v, mountPath: /v}]}]",
    container:
      "restartPolicy: Never, restartPolicyRules: [{action: RestartAllContainers, exitCodes: {operator: In, values: [88]}}], volumeMounts: [{name: v, mountPath: /v}]",
    script: "wc -l < /v/inits; test $(wc -l < /v/inits) = 2 || exit 88",
    says: /^2$/m,
    status: {
      path: "{.status.phase} {.status.initContainerStatuses[0].restartCount} {.status.conditions[?(@.type=='AllContainersRestarting')].status}",
      says: /^Succeeded 1 False$/,
    },
  },
  "resources of the pod as a whole": {
    pod: "resources: {limits: {memory: 64Mi, cpu: 500m}}",
    script: "x=a; while true; do x=$x$x; done",
    says: /^\s*(Killed\s*)?$/,
    status: {
      path: "{.status.containerStatuses[0].state.terminated.reason} {.status.qosClass}",
      says: /^(OOMKilled|Error) Guaranteed$/,
    },
  },
  "read-only in status": {
    notIn: { containerd: "containerd has had recursive read-only mounts since 2.0: told in the table of refusals" },
    pod: "volumes: [{name: v, emptyDir: {}}]",
    container: "volumeMounts: [{name: v, mountPath: /v, readOnly: true, recursiveReadOnly: Enabled}]",
    script: "touch /v/x 2>&1 || true",
    says: /Read-only file system/,
    status: { path: "{.status.containerStatuses[0].volumeMounts[0].recursiveReadOnly}", says: /^Enabled$/ },
  },
  "recursive read-only": {
    pod: "volumes: [{name: v, emptyDir: {}}]",
    container: "volumeMounts: [{name: v, mountPath: /v, readOnly: true, recursiveReadOnly: IfPossible}]",
    script: "touch /v/x 2>&1 || true",
    says: /Read-only file system/,
  },
  ...(hasAppArmor
    ? {
        "AppArmor's default profile": {
          container: "securityContext: {capabilities: {add: [SYS_ADMIN]}}",
          script: "cat /proc/self/attr/current; mount -t tmpfs x /mnt 2>&1 || true",
          says: /^(pinnace-default|cri-containerd\.apparmor\.d) \(enforce\)\n.*(Permission denied|read-only)/,
        },
      }
    : {}),
};

/** What a node does not do for a pod, and what it says of it: `STATUS reason: message`, and its warnings after that. */
const refused: Record<string, { node?: Runtime; spec: string; says: RegExp }> = {
  ...(hasAppArmor
    ? {}
    : {
        "an AppArmor profile that nobody enforces": {
          spec: "securityContext: {appArmorProfile: {type: RuntimeDefault}}, containers: [{name: c, image: busybox}]",
          says: /^AppArmor AppArmor: .*Cannot enforce AppArmor: AppArmor is not enabled on the host/,
        },
      }),
  "an unsafe sysctl": {
    spec: "securityContext: {sysctls: [{name: kernel.sem, value: '1 2 3 4'}]}, containers: [{name: c, image: busybox}]",
    says: /^SysctlForbidden SysctlForbidden: Pod was rejected: forbidden sysctl: "kernel.sem" not allowlisted/,
  },
  "too much CPU for the node it is bound to": {
    spec: "containers: [{name: c, image: busybox, resources: {requests: {cpu: '4000'}}}]",
    says: /^OutOfcpu OutOfcpu: Pod was rejected: Node didn't have enough resource: cpu, requested: 4000000/,
  },
  "the wrong node": {
    spec: "nodeSelector: {no: such}, containers: [{name: c, image: busybox}]",
    says: /^NodeAffinity NodeAffinity: /,
  },
  "a name that is too long for the kernel": {
    spec: `setHostnameAsFQDN: true, hostname: ${"a".repeat(40)}, subdomain: sub, containers: [{name: c, image: busybox}]`,
    says: /^ContainerCreating[\s\S]*FailedCreatePodSandBox Failed to create pod sandbox: failed to construct FQDN from pod hostname and cluster domain, FQDN a+\.sub\.\S+ is too long \(64 characters is the max, \d+ characters requested\)/,
  },
  "a mounted volume of an image that is not there": {
    spec: "volumes: [{name: v, image: {reference: 'localhost/none:1', pullPolicy: Never}}], containers: [{name: c, image: busybox, volumeMounts: [{name: v, mountPath: /v}]}]",
    says: /^ErrImageNeverPull[\s\S]*Container image "localhost\/none:1" is not present with pull policy of Never/,
  },
  "a folder that an image does not have": {
    spec: "volumes: [{name: v, image: {reference: busybox}}], containers: [{name: c, image: busybox, volumeMounts: [{name: v, mountPath: /v, subPath: none}]}]",
    says: /^CreateContainerConfigError[\s\S]*failed to prepare subPath for volumeMount "v" of container "c": subPath "none" does not exist in the volume/,
  },
  ...(canRunContainerd
    ? {
        "a user namespace in a runtime without": {
          node: "containerd",
          spec: "hostUsers: false, containers: [{name: c, image: busybox}]",
          says: /^ContainerCreating[\s\S]*FailedCreatePodSandBox Failed to create pod sandbox: can't set `hostUsers: false`, runtime handler "" does not support user namespaces/,
        },
        "supplementalGroupsPolicy Strict in a runtime without": {
          node: "containerd",
          spec: "securityContext: {supplementalGroupsPolicy: Strict}, containers: [{name: c, image: busybox}]",
          says: /^SupplementalGroupsPolicyNotSupported SupplementalGroupsPolicyNotSupported: Pod was rejected: SupplementalGroupsPolicy=Strict is not supported in this node/,
        },
        "a recursive read-only mount in a runtime without": {
          node: "containerd",
          spec: "volumes: [{name: v, emptyDir: {}}], containers: [{name: c, image: busybox, volumeMounts: [{name: v, mountPath: /v, readOnly: true, recursiveReadOnly: Enabled}]}]",
          says: /^CreateContainerConfigError[\s\S]*failed to resolve recursive read-only mode: volume "v" requested recursive read-only mode, but it is not supported by the runtime/,
        },
      }
    : {}),
};

/** A few pages of 2 MiB, for the pod that asks for them: nodes count them when they start. */
const hugePages = process.getuid?.() === 0 ? givePages(4) : { count: 0, giveBack() {} };
if (hugePages.count > 0) {
  features["huge pages"] = {
    pod: "volumes: [{name: h, emptyDir: {medium: HugePages-2Mi}}]",
    container:
      "resources: {limits: {hugepages-2Mi: 4Mi, memory: 32Mi, cpu: 100m}}, volumeMounts: [{name: h, mountPath: /h}]",
    script:
      "grep ' /h hugetlbfs' /proc/mounts | grep -c pagesize=2M; cat /sys/fs/cgroup/hugetlb/hugetlb.2MB.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/hugetlb.2MB.max 2>/dev/null || echo no control group for them",
    says: /^1\n(4194304|no control group for them)$/m,
  };
} else test.skip("huge pages (this machine's kernel has none to give)", () => {});
afterAll(() => hugePages.giveBack());

function givePages(wanted: number): { count: number; giveBack(): void } {
  const file = "/proc/sys/vm/nr_hugepages";
  try {
    const before = readFileSync(file, "utf8");
    writeFileSync(file, String(Math.max(wanted, Number(before))));
    const count = Number(readFileSync(file, "utf8"));
    return { count: count < wanted ? 0 : count, giveBack: () => writeFileSync(file, before) };
  } catch {
    return { count: 0, giveBack() {} };
  }
}

const config = `kubelet: { allowedUnsafeSysctls: ["kernel.msg*", net.core.somaxconn] }
nodes:
- { name: pinnace, role: control-plane, taints: [] }
${canRunContainerd ? "- { name: containerd, containerRuntime: containerd, taints: [{ key: of-the-table, effect: NoSchedule }] }" : ""}`;

describeCluster("what a pod can ask for", { config }, (cluster) => {
  const rows = (runtime: Runtime) =>
    Object.entries(features).filter(
      ([, { notIn, byKubelet }]) => !notIn?.[runtime] && !(byKubelet && runtime === "containerd"),
    );

  /** A pod's name is its host's name too. */
  const podName = (title: string, runtime: Runtime = "pinnace") =>
    title
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "-")
      .slice(0, 48)
      .replace(/-$/, "") + (runtime === "containerd" ? "-in-containerd" : "");

  const refusedName = (title: string) => `no-${podName(title)}`;

  test("all of it is accepted", async () => {
    await cluster.apply(objects);
    const rules = [{ names: ["chmod", "fchmod", "fchmodat", "fchmodat2"], action: "SCMP_ACT_ERRNO" }];
    const profile = JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: rules });
    for (const node of runtimes) {
      const seccomp = join(cluster.home, "clusters", cluster.name, "nodes", node, "seccomp");
      mkdirSync(seccomp, { recursive: true });
      writeFileSync(join(seccomp, "no-chmod.json"), profile);
    }
    const all = runtimes.flatMap((runtime) =>
      rows(runtime).map(([title, feature]) => ({ title, runtime, ...feature })),
    );
    const manifests = all.map(({ title, runtime, pod, container, script }) => {
      // The empty line at the end keeps the last one whole when logs of several pods come together.
      const whole = `(${script}) 2>&1; code=$?; echo; exit $code`;
      const command = `name: main, image: busybox, command: [sh, -c, ${JSON.stringify(whole)}]`;
      const spec = `nodeSelector: {kubernetes.io/hostname: ${runtime}}, tolerations: [{operator: Exists}], restartPolicy: Never, terminationGracePeriodSeconds: 2, ${pod ? `${pod}, ` : ""}containers: [{${command}${container ? `, ${container}` : ""}}]`;
      return `apiVersion: v1\nkind: Pod\nmetadata: {name: ${podName(title, runtime)}, labels: {asks: "yes"}}\nspec: {${spec.replaceAll("HOME", cluster.home)}}`;
    });
    for (const [title, { node = "pinnace", spec }] of Object.entries(refused)) {
      const metadata = `{name: ${refusedName(title)}, labels: {asks: too-much}}`;
      manifests.push(
        `apiVersion: v1\nkind: Pod\nmetadata: ${metadata}\nspec: {nodeName: ${node}, tolerations: [{operator: Exists}], ${spec}}`,
      );
    }
    const made = await cluster.kubectlRaw(["create", "--validate=false", "-f", "-"], manifests.join("\n---\n"));
    expect(made.stderr).toBe("");
  });

  const ended = new Map<string, string>();
  const logs = new Map<string, string>();

  test("all of them end", async () => {
    const state = "{.status.phase} {.status.message} {.status.containerStatuses[*].state}{'\\n'}";
    await eventually(
      () => cluster.kubectl`get pods -l asks=yes -o ${`jsonpath={range .items[*]}{.metadata.name} ${state}{end}`}`,
      (text) => {
        for (const line of text.trim().split("\n")) {
          const [, name = "", rest = ""] = /^(\S+) (.*)$/.exec(line) ?? [];
          ended.set(name, rest);
        }
        const waiting = [...ended].filter(([, rest]) => !/^(Succeeded|Failed)/.test(rest));
        expect(waiting).toEqual([]);
      },
      150_000,
    ).catch(() => {}); // Each that has not ended is told below.
    // Of all pods in one: kubectl takes longer to start than to read.
    const all = await cluster.kubectl`logs -l asks=yes -c main --prefix --tail=-1 --ignore-errors`;
    for (const line of all.split("\n")) {
      const [, name, text = ""] = /^\[pod\/([^/]+)\/main\] (.*)$/.exec(line) ?? [];
      if (name) logs.set(name, logs.has(name) ? `${logs.get(name)}\n${text}` : text);
    }
  }, 180_000);

  describe.each([...runtimes])("in %s", (runtime) => {
    test.each(rows(runtime))("%s", async (title, { says, status }) => {
      const name = podName(title, runtime);
      expect(ended.get(name)).toMatch(/^(Succeeded|Failed)/);
      expect(logs.get(name) ?? "", ended.get(name)).toMatch(says);
      if (status) expect(await cluster.kubectl`get pod ${name} -o ${`jsonpath=${status.path}`}`).toMatch(status.says);
    });

    for (const [title, { notIn }] of Object.entries(features))
      if (notIn?.[runtime]) test.skip(`${title} (${notIn[runtime]})`, () => {});
  });

  test("what a node does not do is told", async () => {
    const word = async () =>
      new Map(
        (await cluster.kubectl`get pods -l asks=too-much --no-headers`)
          .trim()
          .split("\n")
          .map((line) => line.split(/ +/) as [string, string, string])
          .map(([name, , status]) => [name, status]),
      );
    await eventually(
      async () => {
        const [words, pods, events] = await Promise.all([
          word(),
          cluster.kubectl`get pods -l asks=too-much -o json`,
          cluster.kubectl`get events --field-selector type=Warning -o json`,
        ]);
        const warnings = JSON.parse(events).items as {
          involvedObject: { name: string };
          reason: string;
          message: string;
        }[];
        const told = JSON.parse(pods).items.map(
          ({ metadata: { name }, status }: { metadata: { name: string }; status: Record<string, string> }) => [
            name,
            [
              `${words.get(name)} ${status["reason"]}: ${status["message"]}`,
              ...warnings
                .filter(({ involvedObject }) => involvedObject.name === name)
                .map(({ reason, message }) => `${reason} ${message}`),
            ].join("\n"),
          ],
        );
        return Object.fromEntries(told) as Record<string, string>;
      },
      (told) => {
        for (const [title, { says }] of Object.entries(refused)) expect(told[refusedName(title)], title).toMatch(says);
      },
    );
  });

  if (hasAppArmor) test.skip("AppArmor's absence is told (this machine's kernel has AppArmor)", () => {});
  else test.skip("an AppArmor profile confines a container (this machine's kernel has no AppArmor)", () => {});

  test.concurrent("a pod whose NFS volume cannot be mounted is told why", async () => {
    await cluster.apply(`apiVersion: v1
kind: Pod
metadata: {name: remote}
spec:
  nodeName: pinnace
  volumes: [{name: v, nfs: {server: 127.0.0.1, path: /nowhere}}]
  containers: [{name: c, image: busybox, volumeMounts: [{name: v, mountPath: /v}]}]`);
    await eventually(
      () =>
        cluster.kubectl`get events --field-selector involvedObject.name=remote,reason=FailedMount -o ${"jsonpath={.items[*].message}"}`,
      (text) =>
        expect(text).toMatch(
          hasNfs
            ? /MountVolume.SetUp failed for volume "v" : mount failed: /
            : /MountVolume.SetUp failed for volume "v" : mount failed: this machine has no NFS client/,
        ),
    );
    await cluster.kubectl`delete pod remote --now`;
  });
  if (!hasNfs) test.skip("files of an NFS server (this machine has no mount.nfs, or its kernel no NFS)", () => {});

  test.concurrent("kubectl debug joins a running pod, and sees the processes of the container that it names", async () => {
    await cluster.apply(`apiVersion: v1
kind: Pod
metadata: {name: debugged}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: busybox, command: [sleep, '1234']}]`);
    await cluster.kubectl`wait --for=condition=Ready pod/debugged --timeout=60s`;
    await cluster.kubectl`debug debugged --image=busybox --container=looker --target=c -- sh -c ${"ps -o args; cat /proc/1/root/etc/hostname"}`;
    await cluster.kubectl`debug debugged --image=busybox --container=lonely -- sh -c ${"ps -o args"}`;
    const ended = "jsonpath={.status.ephemeralContainerStatuses[*].state.terminated.exitCode}";
    await eventually(
      () => cluster.kubectl`get pod debugged -o ${ended}`,
      (text) => expect(text).toBe("0 0"),
    );
    expect(await cluster.kubectl`logs debugged -c looker`).toMatch(/sleep 1234[\s\S]*debugged/);
    expect(await cluster.kubectl`logs debugged -c lonely`).not.toContain("sleep 1234");
    expect(await cluster.kubectl`get pod debugged -o ${"jsonpath={.status.phase}"}`).toBe("Running");
    await cluster.kubectl`delete pod debugged --now`;
  });

  test.concurrent("a running container is given more, or told why not, without a restart", async () => {
    await cluster.apply(`apiVersion: v1
kind: Pod
metadata: {name: growing}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: busybox, command: [sleep, '1000'], resources: {limits: {cpu: 100m, memory: 32Mi}}}]`);
    await cluster.kubectl`wait --for=condition=Ready pod/growing --timeout=60s`;
    const limits = (cpu: string, memory: string) => {
      const resources = { limits: { cpu, memory }, requests: { cpu, memory } };
      return JSON.stringify({ spec: { containers: [{ name: "c", resources }] } });
    };
    await cluster.kubectl`patch pod growing --subresource resize -p ${limits("200m", "64Mi")}`;
    const read =
      "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max";
    await eventually(
      () => cluster.kubectl`exec growing -- sh -c ${read}`,
      (text) => expect(text).toMatch(/^67108864\n20000/),
    );
    const status =
      "jsonpath={.status.containerStatuses[0].resources.limits.memory} {.status.containerStatuses[0].restartCount} {.status.conditions[?(@.type=='PodResizePending')].reason}";
    await eventually(
      () => cluster.kubectl`get pod growing -o ${status}`,
      (text) => expect(text).toBe("64Mi 0 "),
    );
    await cluster.kubectl`patch pod growing --subresource resize -p ${limits("4000", "64Mi")}`;
    await eventually(
      () => cluster.kubectl`get pod growing -o ${status}`,
      (text) => expect(text).toBe("64Mi 0 Infeasible"),
    );
    await cluster.kubectl`patch pod growing --subresource resize -p ${limits("300m", "64Mi")}`;
    await eventually(
      () => cluster.kubectl`get pod growing -o ${status}`,
      (text) => expect(text).toBe("64Mi 0 "),
    );
  });

  test.concurrent("a running pod as a whole is given more; a container that shares its limits begins anew if it wants to", async () => {
    await cluster.apply(`apiVersion: v1
kind: Pod
metadata: {name: whole}
spec:
  terminationGracePeriodSeconds: 0
  resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {cpu: 500m, memory: 64Mi}}
  containers:
  - {name: stays, image: busybox, command: [sleep, '1000']}
  - {name: anew, image: busybox, command: [sleep, '1000'], resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]}`);
    await cluster.kubectl`wait --for=condition=Ready pod/whole --timeout=60s`;
    const more = { spec: { resources: { limits: { cpu: "800m", memory: "128Mi" } } } };
    await cluster.kubectl`patch pod whole --subresource resize -p ${JSON.stringify(more)}`;
    const status =
      "jsonpath={.metadata.uid} {.status.resources.limits.memory} {.status.allocatedResources.cpu} {.status.containerStatuses[*].restartCount} {.status.conditions[?(@.type=='PodResizeInProgress')].status}";
    const told = await eventually(
      () => cluster.kubectl`get pod whole -o ${status}`,
      (text) => expect(text).toMatch(/ 128Mi 100m 0 1 $/),
    );
    const uid = told.split(" ")[0]!;
    const group = await cluster.host("find", "/sys/fs/cgroup", "-type", "d", "-name", `*pod${uid}*`);
    const limits = group
      .trim()
      .split("\n")
      .flatMap((folder) => ["memory.limit_in_bytes", "memory.max"].map((file) => join(folder, file)))
      .filter((file) => existsSync(file))
      .map((file) => readFileSync(file, "utf8").trim());
    expect(limits).toEqual([String(128 * 1024 ** 2)]);
    const read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";
    expect(await cluster.kubectl`exec whole -c stays -- sh -c ${read}`).toBe(`${limits[0]}\n`);
    await eventually(
      () =>
        cluster.kubectl`get events --field-selector involvedObject.name=whole -o ${"jsonpath={range .items[*]}{.reason} {.message}{'\\n'}{end}"}`,
      (text) => {
        const summary =
          '{"containers":[{"name":"stays","resources":{}},{"name":"anew","resources":{}}],"generation":2}';
        expect(text).toContain(`ResizeStarted Pod resize started: ${summary}`);
        expect(text).toContain(`ResizeCompleted Pod resize completed: ${summary}`);
      },
    );
  });

  test.concurrent("several containers are resized at once, limits added among them, and what is equal is no change", async () => {
    const container = (name: string, resources: string) =>
      `{name: ${name}, image: busybox, command: [sleep, '1000'], resources: {${resources}}}`;
    await cluster.apply(`apiVersion: v1
kind: Pod
metadata: {name: several}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - ${container("a", "limits: {cpu: 100m, memory: 32Mi}")}
  - ${container("b", "requests: {cpu: 100m, memory: 32Mi}, limits: {cpu: 200m, memory: 64Mi}")}
  - ${container("c", "requests: {cpu: 10m}")}
  - ${container("d", "")}
  - ${container("e", "requests: {cpu: 20m, memory: 16Mi}")}
  - ${container("f", "limits: {cpu: 60m}")}`);
    await cluster.kubectl`wait --for=condition=Ready pod/several --timeout=60s`;
    const share = (cpu: string, memory: string) => ({ cpu, memory });
    const resizes = {
      a: { requests: share("200m", "64Mi"), limits: share("200m", "64Mi") },
      b: { requests: share("50m", "24Mi"), limits: share("100m", "48Mi") },
      c: { requests: share("20m", "16Mi"), limits: share("150m", "40Mi") },
      d: { limits: share("120m", "36Mi"), requests: share("30m", "36Mi") },
      e: { requests: share("10m", "24Mi"), limits: share("80m", "28Mi") },
      f: { requests: share("30m", "20Mi"), limits: share("50m", "44Mi") },
    };
    const containers = Object.entries(resizes).map(([name, resources]) => ({ name, resources }));
    const patch = JSON.stringify({ spec: { containers } });
    await cluster.kubectl`patch pod several --subresource resize -p ${patch}`;
    const read =
      "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max";
    for (const [name, { limits }] of Object.entries(resizes)) {
      const expected = `${Number.parseInt(limits.memory, 10) * 1024 ** 2}\n${Number.parseInt(limits.cpu, 10) * 100}`;
      await eventually(
        () => cluster.kubectl`exec several -c ${name} -- sh -c ${read}`,
        (text) => expect(text).toContain(expected),
      );
    }
    const settled = async (expected: string) => {
      const path =
        "jsonpath={.status.containerStatuses[*].resources.limits.memory} {.status.containerStatuses[*].restartCount} {.status.conditions[?(@.type=='PodResizeInProgress')].type}";
      await eventually(
        () => cluster.kubectl`get pod several -o ${path}`,
        (text) => expect(text.trim()).toBe(expected),
      );
    };
    await settled("64Mi 48Mi 40Mi 36Mi 28Mi 44Mi 0 0 0 0 0 0");
    // The whole object goes as well, and an amount written otherwise is the same amount.
    const pod = JSON.parse(await cluster.kubectl`get pod several -o json`);
    pod.spec.containers[0].resources = { requests: share("0.2", "67108864"), limits: share("0.2", "67108864") };
    pod.spec.containers[1].resources.limits.memory = "56Mi";
    const replaced = await cluster.kubectlRaw(["replace", "--subresource=resize", "-f", "-"], JSON.stringify(pod));
    expect(replaced.stderr).toBe("");
    await eventually(
      () => cluster.kubectl`exec several -c b -- sh -c ${read}`,
      (text) => expect(text).toContain(String(56 * 1024 ** 2)),
    );
    expect(await cluster.kubectl`exec several -c a -- sh -c ${read}`).toMatch(/^67108864\n20000/);
    await eventually(
      () =>
        cluster.kubectl`get pod several -o ${"jsonpath={.status.containerStatuses[*].restartCount} {.status.observedGeneration} {.metadata.generation}"}`,
      (text) => expect(text).toMatch(/^0 0 0 0 0 0 (\d+) \1$/),
    );
    await cluster.kubectl`delete pod several --now`;
  });

  test.concurrent("a RuntimeClass that is not there, or not any more, is refused", async () => {
    const pod = (name: string) =>
      JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: `wants-${name}` },
        spec: { runtimeClassName: name, containers: [{ name: "c", image: "busybox" }] },
      });
    const create = async (name: string) => (await cluster.kubectlRaw(["create", "-f", "-"], pod(name))).stderr;
    await cluster.apply("apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: short}\nhandler: crun\n");
    await cluster.kubectl`delete runtimeclass short`;
    for (const name of ["short", "never"])
      expect(await create(name)).toContain(
        `pods "wants-${name}" is forbidden: pod rejected: RuntimeClass "${name}" not found`,
      );
  });

  test.skipIf(!canRunContainerd).concurrent("a policy and a host port hold for pods in containerd", async () => {
    const pod = (name: string, container: string) =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, labels: {app: ${name}}}\nspec: {nodeName: containerd, terminationGracePeriodSeconds: 0, containers: [{name: c, image: busybox, ${container}}]}`;
    const serve = JSON.stringify("mkdir /w; echo served > /w/index.html; httpd -f -p 8080 -h /w");
    await cluster.apply(
      [
        pod("guarded", `command: [sh, -c, ${serve}], ports: [{containerPort: 8080, hostPort: 18090}]`),
        pod("asker", "command: [sleep, '1000']"),
        `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: guard}
spec: {podSelector: {matchLabels: {app: guarded}}, ingress: [{from: [{podSelector: {matchLabels: {may: "yes"}}}]}]}`,
      ].join("\n---\n"),
    );
    await cluster.kubectl`wait --for=condition=Ready pod/guarded pod/asker --timeout=60s`;
    const [address, node] = (
      await cluster.kubectl`get pod guarded -o ${"jsonpath={.status.podIP} {.status.hostIP}"}`
    ).split(" ");
    const ask = () => cluster.kubectlRaw(["exec", "asker", "--", "curl", "-s", "-m", "2", `http://${address}:8080/`]);
    expect((await ask()).exitCode).not.toBe(0);
    await cluster.kubectl`label pod asker may=yes`;
    await eventually(ask, ({ stdout }) => expect(stdout).toBe("served\n"));
    await cluster.kubectl`delete networkpolicy guard`;
    await eventually(
      () => cluster.host("curl", "-s", "-m", "2", `http://${node}:18090/`),
      (text) => expect(text).toBe("served\n"),
    );
    await cluster.kubectl`delete pod guarded asker --now`;
  });

  test.concurrent("a host port leads to its pod, from outside, from the node's own 127.0.0.1 and from the pod itself", async () => {
    const script = "mkdir /w; echo hosted > /w/index.html; httpd -f -p 8080 -h /w";
    await cluster.apply(`apiVersion: v1
kind: Pod
metadata: {name: hosted}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: busybox, command: [sh, -c, ${JSON.stringify(script)}], ports: [{containerPort: 8080, hostPort: 18080}]}`);
    await cluster.kubectl`wait --for=condition=Ready pod/hosted --timeout=60s`;
    const ip = (await cluster.kubectl`get pod hosted -o ${"jsonpath={.status.hostIP}"}`).trim();
    await eventually(
      () => cluster.host("curl", "-s", "-m", "2", `http://${ip}:18080/`),
      (text) => expect(text).toBe("hosted\n"),
    );
    expect(await cluster.kubectl`exec hosted -- wget -q -O - http://${ip}:18080/`).toBe("hosted\n");
    const node = (await cluster.kubectl`get pod hosted -o ${"jsonpath={.spec.nodeName}"}`).trim();
    const curl = ["curl", "-s", "-m", "2", "http://127.0.0.1:18080/"] as const;
    expect(await cluster.host("ip", "netns", "exec", `pinnace-${cluster.name}.${node}`, ...curl)).toBe("hosted\n");
    await cluster.kubectl`delete pod hosted --now`;
    await expect(cluster.host("curl", "-s", "-m", "1", `http://${ip}:18080/`)).rejects.toThrow();
  });
});
