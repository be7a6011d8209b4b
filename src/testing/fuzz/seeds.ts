/** Objects to begin from: of many kinds, with many of their fields set. */
interface Seed {
  /** The collection, or the one object where `name` stands in it already. */
  path: string;
  object: {
    apiVersion: string;
    kind: string;
    metadata: { name: string; [field: string]: unknown };
    [field: string]: unknown;
  };
}

const core = "/api/v1/namespaces/default";
const labels = { app: "fuzz" };

const podSpec = {
  containers: [
    {
      name: "main",
      image: "nginx:1.27",
      command: ["sh", "-c"],
      args: ["sleep 1"],
      ports: [{ name: "http", containerPort: 80, protocol: "TCP" }],
      env: [
        { name: "A", value: "1" },
        { name: "B", valueFrom: { configMapKeyRef: { name: "c", key: "k", optional: true } } },
        { name: "C", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      ],
      resources: { requests: { cpu: "100m", memory: "64Mi" }, limits: { memory: "128Mi" } },
      livenessProbe: { httpGet: { path: "/", port: "http" }, periodSeconds: 5 },
      readinessProbe: { exec: { command: ["true"] } },
      lifecycle: { preStop: { exec: { command: ["true"] } } },
      securityContext: { runAsUser: 1000, capabilities: { drop: ["ALL"] } },
      volumeMounts: [{ name: "data", mountPath: "/data", subPath: "x" }],
    },
  ],
  initContainers: [{ name: "init", image: "busybox", restartPolicy: "Always" }],
  volumes: [
    { name: "data", emptyDir: { sizeLimit: "1Gi" } },
    { name: "all", projected: { sources: [{ serviceAccountToken: { path: "token", expirationSeconds: 3600 } }] } },
    { name: "secret", secret: { secretName: "s", items: [{ key: "k", path: "p", mode: 256 }] } },
  ],
  nodeSelector: { disk: "ssd" },
  tolerations: [{ key: "k", operator: "Exists", effect: "NoExecute", tolerationSeconds: 5 }],
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: "a", operator: "In", values: ["b"] }] }],
      },
    },
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        {
          weight: 1,
          podAffinityTerm: { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: labels } },
        },
      ],
    },
  },
  topologySpreadConstraints: [
    { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule", labelSelector: { matchLabels: labels } },
  ],
  restartPolicy: "Always",
  hostAliases: [{ ip: "10.0.0.1", hostnames: ["a"] }],
  dnsConfig: { nameservers: ["10.0.0.1"], options: [{ name: "ndots", value: "5" }] },
  securityContext: { fsGroup: 1, sysctls: [{ name: "net.ipv4.tcp_syncookies", value: "1" }] },
};

const template = { metadata: { labels }, spec: podSpec };

export const seeds: readonly Seed[] = [
  {
    path: `${core}/pods`,
    object: {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "fuzz", labels, annotations: { a: "b" }, finalizers: ["a.b/c"] },
      spec: podSpec,
    },
  },
  {
    path: `${core}/configmaps`,
    object: {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: {
        name: "fuzz",
        labels,
        ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "p", uid: "u", controller: true }],
      },
      data: { a: "b" },
      binaryData: { b: "AAEC" },
      immutable: false,
    },
  },
  {
    path: `${core}/secrets`,
    object: {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "fuzz" },
      type: "Opaque",
      data: { a: "AAEC" },
      stringData: { b: "c" },
    },
  },
  {
    path: `${core}/services`,
    object: {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "fuzz" },
      spec: {
        selector: labels,
        type: "ClusterIP",
        ports: [{ name: "http", port: 80, targetPort: "http", protocol: "TCP", appProtocol: "http" }],
        sessionAffinity: "ClientIP",
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 5 } },
        externalIPs: ["1.2.3.4"],
      },
    },
  },
  {
    path: "/apis/apps/v1/namespaces/default/deployments",
    object: {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "fuzz" },
      spec: {
        replicas: 2,
        selector: { matchLabels: labels, matchExpressions: [{ key: "app", operator: "Exists" }] },
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: 1 } },
        template,
      },
    },
  },
  {
    path: "/apis/apps/v1/namespaces/default/statefulsets",
    object: {
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata: { name: "fuzz" },
      spec: {
        serviceName: "s",
        replicas: 1,
        selector: { matchLabels: labels },
        template,
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 1 } },
        volumeClaimTemplates: [
          {
            metadata: { name: "data" },
            spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
          },
        ],
      },
    },
  },
  {
    path: "/apis/apps/v1/namespaces/default/daemonsets",
    object: {
      apiVersion: "apps/v1",
      kind: "DaemonSet",
      metadata: { name: "fuzz" },
      spec: { selector: { matchLabels: labels }, template, updateStrategy: { type: "OnDelete" } },
    },
  },
  {
    path: "/apis/batch/v1/namespaces/default/jobs",
    object: {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name: "fuzz" },
      spec: {
        completions: 2,
        parallelism: 1,
        backoffLimit: 3,
        completionMode: "Indexed",
        podFailurePolicy: { rules: [{ action: "Ignore", onExitCodes: { operator: "In", values: [1] } }] },
        template: { spec: { ...podSpec, restartPolicy: "Never" } },
      },
    },
  },
  {
    path: "/apis/batch/v1/namespaces/default/cronjobs",
    object: {
      apiVersion: "batch/v1",
      kind: "CronJob",
      metadata: { name: "fuzz" },
      spec: {
        schedule: "*/5 * * * *",
        timeZone: "Etc/UTC",
        concurrencyPolicy: "Forbid",
        jobTemplate: { spec: { template: { spec: { ...podSpec, restartPolicy: "OnFailure" } } } },
      },
    },
  },
  {
    path: "/apis/networking.k8s.io/v1/namespaces/default/ingresses",
    object: {
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata: { name: "fuzz" },
      spec: {
        tls: [{ hosts: ["a.b"], secretName: "s" }],
        rules: [
          {
            host: "a.b",
            http: {
              paths: [{ path: "/x", pathType: "Prefix", backend: { service: { name: "s", port: { number: 80 } } } }],
            },
          },
        ],
      },
    },
  },
  {
    path: "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
    object: {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "fuzz" },
      spec: {
        podSelector: { matchLabels: labels },
        policyTypes: ["Ingress"],
        ingress: [
          { from: [{ ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] } }], ports: [{ port: 80, endPort: 90 }] },
        ],
      },
    },
  },
  {
    path: "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
    object: {
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      metadata: { name: "fuzz" },
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "d" },
        minReplicas: 1,
        maxReplicas: 5,
        metrics: [
          { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 50 } } },
        ],
        behavior: {
          scaleDown: { stabilizationWindowSeconds: 5, policies: [{ type: "Pods", value: 1, periodSeconds: 5 }] },
        },
      },
    },
  },
  {
    path: "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
    object: {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: { name: "fuzz" },
      spec: { minAvailable: "50%", selector: { matchLabels: labels } },
    },
  },
  {
    path: "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
    object: {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: { name: "fuzz" },
      rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"], resourceNames: ["x"] }],
    },
  },
  {
    path: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    object: {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "fuzz" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
      subjects: [{ kind: "User", name: "u", apiGroup: "rbac.authorization.k8s.io" }],
    },
  },
  {
    path: "/api/v1/nodes",
    object: {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: "fuzz" },
      spec: { podCIDR: "10.0.0.0/24", taints: [{ key: "a", value: "b", effect: "NoSchedule" }] },
      status: { capacity: { cpu: "1" }, addresses: [{ type: "InternalIP", address: "1.2.3.4" }] },
    },
  },
  {
    path: "/api/v1/persistentvolumes",
    object: {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name: "fuzz" },
      spec: {
        capacity: { storage: "1Gi" },
        accessModes: ["ReadWriteOnce"],
        hostPath: { path: "/x" },
        persistentVolumeReclaimPolicy: "Retain",
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key: "a", operator: "Exists" }] }] } },
      },
    },
  },
  {
    path: `${core}/persistentvolumeclaims`,
    object: {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: "fuzz" },
      spec: {
        accessModes: ["ReadWriteOnce"],
        resources: { requests: { storage: "1Gi" } },
        storageClassName: "x",
        volumeMode: "Filesystem",
        dataSource: { kind: "PersistentVolumeClaim", name: "y" },
      },
    },
  },
  {
    path: `${core}/resourcequotas`,
    object: {
      apiVersion: "v1",
      kind: "ResourceQuota",
      metadata: { name: "fuzz" },
      spec: {
        hard: { pods: "10", "requests.cpu": "1" },
        scopeSelector: { matchExpressions: [{ scopeName: "PriorityClass", operator: "In", values: ["a"] }] },
      },
    },
  },
  {
    path: `${core}/limitranges`,
    object: {
      apiVersion: "v1",
      kind: "LimitRange",
      metadata: { name: "fuzz" },
      spec: {
        limits: [
          {
            type: "Container",
            max: { cpu: "2" },
            min: { cpu: "1m" },
            default: { cpu: "1" },
            defaultRequest: { cpu: "1" },
          },
        ],
      },
    },
  },
  {
    path: "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
    object: {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "fuzz" },
      addressType: "IPv4",
      endpoints: [{ addresses: ["10.0.0.1"], conditions: { ready: true }, targetRef: { kind: "Pod", name: "p" } }],
      ports: [{ name: "http", port: 80 }],
    },
  },
  {
    path: "/apis/coordination.k8s.io/v1/namespaces/default/leases",
    object: {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "fuzz" },
      spec: { holderIdentity: "h", leaseDurationSeconds: 5, renewTime: "2020-01-01T00:00:00.000000Z" },
    },
  },
  {
    path: "/apis/scheduling.k8s.io/v1/priorityclasses",
    object: {
      apiVersion: "scheduling.k8s.io/v1",
      kind: "PriorityClass",
      metadata: { name: "fuzz" },
      value: 5,
      preemptionPolicy: "Never",
    },
  },
  {
    path: "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    object: {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicy",
      metadata: { name: "fuzz" },
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: ["x"], apiVersions: ["v1"], operations: ["CREATE"], resources: ["x"] }],
        },
        validations: [{ expression: "object.spec.replicas <= 5", message: "m" }],
        variables: [{ name: "v", expression: "1 + 1" }],
      },
    },
  },
  {
    path: "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    object: {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingWebhookConfiguration",
      metadata: { name: "fuzz" },
      webhooks: [
        {
          name: "a.b.c",
          clientConfig: { url: "https://127.0.0.1:1/x" },
          rules: [{ apiGroups: ["x"], apiVersions: ["v1"], operations: ["CREATE"], resources: ["x"] }],
          sideEffects: "None",
          admissionReviewVersions: ["v1"],
          timeoutSeconds: 1,
          failurePolicy: "Ignore",
        },
      ],
    },
  },
];
