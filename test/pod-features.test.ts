/** One short manifest for each thing that a pod can ask of its node; what the pod says of itself shows whether it got it. */
import { expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

interface Feature {
  /** Of the pod's spec, in YAML's flow style. */
  pod?: string;
  /** Of its container. */
  container?: string;
  /** Run in the pod; what it prints is looked at. */
  script: string;
  says: RegExp;
}

const features: Record<string, Feature> = {
  hostNetwork: { pod: "hostNetwork: true", script: "ip addr", says: /cni0|pods0|: veth/ },
  hostPID: { pod: "hostPID: true", script: "ps | wc -l", says: /^\d{2,}$/m },
  hostIPC: { pod: "hostIPC: true", script: "df /dev/shm | tail -1; echo done", says: /done/ },
  hostAliases: {
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
    pod: "dnsConfig: {searches: [more.example]}",
    script: "cat /etc/resolv.conf",
    says: /^search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local.* more\.example$/m,
  },
  sysctls: {
    pod: "securityContext: {sysctls: [{name: net.ipv4.ip_local_port_range, value: '2000 3000'}, {name: kernel.shm_rmid_forced, value: '1'}]}",
    script: "cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/kernel/shm_rmid_forced",
    says: /^2000\t3000\n1$/m,
  },
  "runAsUser and groups": {
    pod: "securityContext: {runAsUser: 1001, runAsGroup: 2002, supplementalGroups: [3003], fsGroup: 4004}",
    script: "id -u; id -g; id -G",
    says: /^1001\n2002\n2002 (4004 3003|3003 4004)$/m,
  },
  "supplementalGroupsPolicy Strict": {
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
    pod: "volumes: [{name: v, emptyDir: {}}]",
    container:
      "env: [{name: WHO, value: me}], volumeMounts: [{name: v, mountPath: /a, subPath: x/y}, {name: v, mountPath: /b, subPathExpr: $(WHO)}, {name: v, mountPath: /v}]",
    script: "touch /a/f /b/g; cd /v; find . -type f | sort",
    says: /^\.\/me\/g\n\.\/x\/y\/f$/m,
  },
  "downward API": {
    container:
      "resources: {limits: {cpu: '1', memory: 32Mi}}, env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}, {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}, {name: MEM, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}, {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]",
    script: "echo $IP $CPU $MEM $NODE",
    says: /^10\.\d+\.\d+\.\d+ 1 32 \S+$/m,
  },
  "variables compose": {
    container: "env: [{name: A, value: a}, {name: B, value: '$(A)-$$(A)-$(NONE)'}]",
    script: "echo $B",
    says: /^a-\$\(A\)-\$\(NONE\)$/m,
  },
  "service variables": { script: "echo $KUBERNETES_SERVICE_HOST", says: /^10\./m },
  "a projected token": {
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
  "recursive read-only": {
    pod: "volumes: [{name: v, emptyDir: {}}]",
    container: "volumeMounts: [{name: v, mountPath: /v, readOnly: true, recursiveReadOnly: IfPossible}]",
    script: "touch /v/x 2>&1 || true",
    says: /Read-only file system/,
  },
};

describeCluster("what a pod can ask for", { nodes: 1 }, (cluster) => {
  const podName = (title: string) => title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");

  test("all of it is accepted", async () => {
    const manifests = Object.entries(features).map(([title, { pod, container, script }]) => {
      const command = `name: main, image: busybox, command: [sh, -c, ${JSON.stringify(script)}]`;
      const spec = `restartPolicy: Never, ${pod ? `${pod}, ` : ""}containers: [{${command}${container ? `, ${container}` : ""}}]`;
      return `apiVersion: v1\nkind: Pod\nmetadata: {name: ${podName(title)}}\nspec: {${spec}}`;
    });
    await cluster.apply(manifests.join("\n---\n"));
  });

  for (const [title, { says }] of Object.entries(features)) {
    test(title, async () => {
      const name = podName(title);
      const phase = await eventually(
        () =>
          cluster.kubectl`get pod ${name} -o ${"jsonpath={.status.phase} {.status.message} {.status.containerStatuses[0].state}"}`,
        (text) => expect(text).toMatch(/^(Succeeded|Failed)/),
      );
      expect(await cluster.kubectl`logs ${name}`, phase).toMatch(says);
    });
  }

  const refused: Record<string, { spec: string; says: RegExp }> = {
    "an unsafe sysctl": {
      spec: "securityContext: {sysctls: [{name: kernel.msgmax, value: '65536'}]}, containers: [{name: c, image: busybox}]",
      says: /^Failed SysctlForbidden forbidden sysctl: "kernel.msgmax" not allowlisted/,
    },
    "too much CPU for the node it is bound to": {
      spec: "nodeName: NODE, containers: [{name: c, image: busybox, resources: {requests: {cpu: '4000'}}}]",
      says: /^Failed OutOfcpu Pod was rejected: Node didn't have enough resource: cpu, requested: 4000000/,
    },
    "the wrong node": {
      spec: "nodeName: NODE, nodeSelector: {no: such}, containers: [{name: c, image: busybox}]",
      says: /^Failed NodeAffinity /,
    },
  };
  test.each(Object.entries(refused))("%s is refused", async (title, { spec, says }) => {
    const name = `refused-${podName(title)}`;
    const node = await cluster.kubectl`get nodes -o ${"jsonpath={.items[0].metadata.name}"}`;
    await cluster.apply(
      `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\nspec: {${spec.replace("NODE", node.trim())}}`,
    );
    await eventually(
      () => cluster.kubectl`get pod ${name} -o ${"jsonpath={.status.phase} {.status.reason} {.status.message}"}`,
      (text) => expect(text).toMatch(says),
    );
  });

  test("a running container is given more, or told why not, without a restart", async () => {
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

  test("a host port leads to its pod, from outside and from the pod itself", async () => {
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
    await cluster.kubectl`delete pod hosted --now`;
    await expect(cluster.host("curl", "-s", "-m", "1", `http://${ip}:18080/`)).rejects.toThrow();
  });
});
