import { describe, expect, it } from "vitest";
import type { KubeObject } from "../api/object.ts";
import { apiVersionOf } from "../apimachinery/group-version.ts";
import type { ResourceDefinition, WriteContext } from "../apimachinery/resource-definition.ts";
import { storedForm } from "../testing/problems-of.ts";
import { type Change, changed } from "../testing/refusals.ts";
import { definitions } from "./catalog.ts";

/** A minimal object of each resource, and what is stored of it: defaults, the first status, the first generation. */
const stored: readonly [resource: string, minimal: object, expected: object][] = [
  ["v1/configmaps", { data: {} }, { data: {} }],
  ["v1/secrets", { stringData: { a: "é" } }, { type: "Opaque", data: { a: "w6k=" } }],
  ["v1/serviceaccounts", {}, {}],
  [
    "v1/namespaces",
    {},
    {
      metadata: { labels: { "kubernetes.io/metadata.name": "web" } },
      spec: { finalizers: ["kubernetes"] },
      status: { phase: "Active" },
    },
  ],
  [
    "v1/nodes",
    { spec: { podCIDR: "10.0.0.0/24" } },
    { spec: { podCIDR: "10.0.0.0/24", podCIDRs: ["10.0.0.0/24"] }, status: {} },
  ],
  [
    "v1/endpoints",
    { subsets: [{ addresses: [], ports: [{ port: 80 }] }] },
    { subsets: [{ addresses: [], ports: [{ port: 80, protocol: "TCP" }] }] },
  ],
  ["v1/events", {}, {}],
  [
    "v1/limitranges",
    { spec: { limits: [{ type: "Container", max: { cpu: "2000m" }, min: { memory: "1024Ki" } }] } },
    {
      spec: {
        limits: [
          {
            type: "Container",
            max: { cpu: "2" },
            min: { memory: "1Mi" },
            default: { cpu: "2" },
            defaultRequest: { memory: "1Mi", cpu: "2" },
          },
        ],
      },
    },
  ],
  ["v1/resourcequotas", { spec: { hard: { cpu: "1000m" } } }, { spec: { hard: { cpu: "1" } }, status: {} }],
  [
    "v1/persistentvolumes",
    { spec: { capacity: { storage: "1024Mi" }, hostPath: { path: "/a" } } },
    {
      spec: {
        capacity: { storage: "1Gi" },
        hostPath: { path: "/a", type: "" },
        persistentVolumeReclaimPolicy: "Retain",
        volumeMode: "Filesystem",
      },
      status: { phase: "Pending", lastPhaseTransitionTime: "1970-01-01T00:00:00Z" },
    },
  ],
  [
    "v1/persistentvolumeclaims",
    {
      spec: {
        resources: { requests: { storage: "1024Mi" } },
        dataSource: { kind: "PersistentVolumeClaim", name: "a" },
      },
    },
    {
      spec: {
        resources: { requests: { storage: "1Gi" } },
        dataSource: { kind: "PersistentVolumeClaim", name: "a" },
        volumeMode: "Filesystem",
        dataSourceRef: { kind: "PersistentVolumeClaim", name: "a" },
      },
      status: { phase: "Pending" },
    },
  ],
  [
    "v1/pods",
    {
      spec: {
        containers: [
          {
            name: "main",
            image: "nginx@sha256:0",
            ports: [{ containerPort: 80 }],
            livenessProbe: { httpGet: { port: 80 } },
            lifecycle: { preStop: { httpGet: { port: 1 } }, stopSignal: "SIGHUP" },
            env: [{ name: "A", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
            resources: { limits: { cpu: "1000m", memory: "1024Mi" } },
          },
        ],
        initContainers: [{ name: "i", image: "b:1" }],
        hostNetwork: true,
        volumes: [
          { name: "a" },
          { name: "b", secret: { secretName: "s" } },
          {
            name: "c",
            projected: {
              sources: [
                { serviceAccountToken: { path: "t" } },
                { downwardAPI: { items: [{ path: "p", fieldRef: { fieldPath: "metadata.name" } }] } },
              ],
            },
          },
        ],
      },
    },
    {
      metadata: { generation: 1 },
      spec: {
        containers: [
          {
            name: "main",
            image: "nginx@sha256:0",
            ports: [{ containerPort: 80, protocol: "TCP", hostPort: 80 }],
            livenessProbe: {
              httpGet: { port: 80, path: "/", scheme: "HTTP" },
              timeoutSeconds: 1,
              periodSeconds: 10,
              successThreshold: 1,
              failureThreshold: 3,
            },
            lifecycle: { preStop: { httpGet: { port: 1, path: "/", scheme: "HTTP" } } },
            env: [{ name: "A", valueFrom: { fieldRef: { fieldPath: "metadata.name", apiVersion: "v1" } } }],
            resources: { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "1", memory: "1Gi" } },
            imagePullPolicy: "IfNotPresent",
            terminationMessagePath: "/dev/termination-log",
            terminationMessagePolicy: "File",
          },
        ],
        initContainers: [
          {
            name: "i",
            image: "b:1",
            imagePullPolicy: "IfNotPresent",
            terminationMessagePath: "/dev/termination-log",
            terminationMessagePolicy: "File",
            resources: {},
          },
        ],
        hostNetwork: true,
        volumes: [
          { name: "a", emptyDir: {} },
          { name: "b", secret: { secretName: "s", defaultMode: 420 } },
          {
            name: "c",
            projected: {
              sources: [
                { serviceAccountToken: { path: "t", expirationSeconds: 3600 } },
                { downwardAPI: { items: [{ path: "p", fieldRef: { fieldPath: "metadata.name", apiVersion: "v1" } }] } },
              ],
              defaultMode: 420,
            },
          },
        ],
        restartPolicy: "Always",
        terminationGracePeriodSeconds: 30,
        dnsPolicy: "ClusterFirst",
        securityContext: {},
        schedulerName: "default-scheduler",
        enableServiceLinks: true,
      },
      status: { phase: "Pending", qosClass: "Burstable" },
    },
  ],
  [
    "v1/podtemplates",
    { template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "nginx" }] } } },
    {
      metadata: { generation: 1 },
      template: {
        metadata: { labels: { app: "web" } },
        spec: {
          containers: [
            {
              name: "main",
              image: "nginx",
              imagePullPolicy: "Always",
              terminationMessagePath: "/dev/termination-log",
              terminationMessagePolicy: "File",
              resources: {},
            },
          ],
          restartPolicy: "Always",
          terminationGracePeriodSeconds: 30,
          dnsPolicy: "ClusterFirst",
          securityContext: {},
          schedulerName: "default-scheduler",
        },
      },
    },
  ],
  [
    "v1/replicationcontrollers",
    {
      spec: {
        template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "nginx" }] } },
      },
    },
    {
      metadata: { labels: { app: "web" }, generation: 1 },
      spec: {
        template: {
          metadata: { labels: { app: "web" } },
          spec: {
            containers: [
              {
                name: "main",
                image: "nginx",
                imagePullPolicy: "Always",
                terminationMessagePath: "/dev/termination-log",
                terminationMessagePolicy: "File",
                resources: {},
              },
            ],
            restartPolicy: "Always",
            terminationGracePeriodSeconds: 30,
            dnsPolicy: "ClusterFirst",
            securityContext: {},
            schedulerName: "default-scheduler",
          },
        },
        selector: { app: "web" },
        replicas: 1,
      },
      status: { replicas: 0 },
    },
  ],
  [
    "v1/services",
    { spec: { ports: [{ port: 80 }], type: "LoadBalancer", sessionAffinity: "ClientIP" } },
    {
      spec: {
        ports: [{ port: 80, protocol: "TCP", targetPort: 80 }],
        type: "LoadBalancer",
        sessionAffinity: "ClientIP",
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 10800 } },
        externalTrafficPolicy: "Cluster",
        internalTrafficPolicy: "Cluster",
        allocateLoadBalancerNodePorts: true,
      },
    },
  ],
  [
    "apps/v1/deployments",
    {
      spec: {
        selector: { matchLabels: { app: "web" } },
        template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "nginx" }] } },
      },
    },
    {
      metadata: { generation: 1 },
      spec: {
        selector: { matchLabels: { app: "web" } },
        template: {
          metadata: { labels: { app: "web" } },
          spec: {
            containers: [
              {
                name: "main",
                image: "nginx",
                imagePullPolicy: "Always",
                terminationMessagePath: "/dev/termination-log",
                terminationMessagePolicy: "File",
                resources: {},
              },
            ],
            restartPolicy: "Always",
            terminationGracePeriodSeconds: 30,
            dnsPolicy: "ClusterFirst",
            securityContext: {},
            schedulerName: "default-scheduler",
          },
        },
        replicas: 1,
        strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "25%", maxSurge: "25%" } },
        revisionHistoryLimit: 10,
        progressDeadlineSeconds: 600,
      },
      status: {},
    },
  ],
  [
    "apps/v1/replicasets",
    {
      spec: {
        selector: { matchLabels: { app: "web" } },
        template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "nginx" }] } },
      },
    },
    {
      metadata: { generation: 1 },
      spec: {
        selector: { matchLabels: { app: "web" } },
        template: {
          metadata: { labels: { app: "web" } },
          spec: {
            containers: [
              {
                name: "main",
                image: "nginx",
                imagePullPolicy: "Always",
                terminationMessagePath: "/dev/termination-log",
                terminationMessagePolicy: "File",
                resources: {},
              },
            ],
            restartPolicy: "Always",
            terminationGracePeriodSeconds: 30,
            dnsPolicy: "ClusterFirst",
            securityContext: {},
            schedulerName: "default-scheduler",
          },
        },
        replicas: 1,
      },
      status: { replicas: 0 },
    },
  ],
  [
    "apps/v1/statefulsets",
    {
      spec: {
        selector: { matchLabels: { app: "web" } },
        template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "nginx" }] } },
        volumeClaimTemplates: [{ metadata: { name: "d" }, spec: {} }],
      },
    },
    {
      metadata: { generation: 1 },
      spec: {
        selector: { matchLabels: { app: "web" } },
        template: {
          metadata: { labels: { app: "web" } },
          spec: {
            containers: [
              {
                name: "main",
                image: "nginx",
                imagePullPolicy: "Always",
                terminationMessagePath: "/dev/termination-log",
                terminationMessagePolicy: "File",
                resources: {},
              },
            ],
            restartPolicy: "Always",
            terminationGracePeriodSeconds: 30,
            dnsPolicy: "ClusterFirst",
            securityContext: {},
            schedulerName: "default-scheduler",
          },
        },
        volumeClaimTemplates: [
          {
            metadata: { name: "d" },
            spec: { volumeMode: "Filesystem" },
            apiVersion: "v1",
            kind: "PersistentVolumeClaim",
            status: { phase: "Pending" },
          },
        ],
        podManagementPolicy: "OrderedReady",
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
        persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
        replicas: 1,
        revisionHistoryLimit: 10,
      },
      status: { replicas: 0, availableReplicas: 0 },
    },
  ],
  [
    "apps/v1/daemonsets",
    {
      spec: {
        selector: { matchLabels: { app: "web" } },
        template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "nginx" }] } },
      },
    },
    {
      metadata: { annotations: { "deprecated.daemonset.template.generation": "1" }, generation: 1 },
      spec: {
        selector: { matchLabels: { app: "web" } },
        template: {
          metadata: { labels: { app: "web" } },
          spec: {
            containers: [
              {
                name: "main",
                image: "nginx",
                imagePullPolicy: "Always",
                terminationMessagePath: "/dev/termination-log",
                terminationMessagePolicy: "File",
                resources: {},
              },
            ],
            restartPolicy: "Always",
            terminationGracePeriodSeconds: 30,
            dnsPolicy: "ClusterFirst",
            securityContext: {},
            schedulerName: "default-scheduler",
          },
        },
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
        revisionHistoryLimit: 10,
      },
      status: { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 },
    },
  ],
  ["apps/v1/controllerrevisions", { revision: 1, data: {} }, { revision: 1, data: {} }],
  [
    "batch/v1/jobs",
    {
      spec: {
        template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "nginx" }] } },
        podFailurePolicy: { rules: [{ action: "Count", onPodConditions: [{ type: "A" }] }] },
      },
    },
    {
      metadata: { labels: { app: "web" }, generation: 1 },
      spec: {
        template: {
          metadata: {
            labels: {
              "batch.kubernetes.io/controller-uid": "11111111-2222-3333-4444-555555555555",
              "batch.kubernetes.io/job-name": "web",
              "controller-uid": "11111111-2222-3333-4444-555555555555",
              "job-name": "web",
              app: "web",
            },
          },
          spec: {
            containers: [
              {
                name: "main",
                image: "nginx",
                imagePullPolicy: "Always",
                terminationMessagePath: "/dev/termination-log",
                terminationMessagePolicy: "File",
                resources: {},
              },
            ],
            restartPolicy: "Always",
            terminationGracePeriodSeconds: 30,
            dnsPolicy: "ClusterFirst",
            securityContext: {},
            schedulerName: "default-scheduler",
          },
        },
        podFailurePolicy: { rules: [{ action: "Count", onPodConditions: [{ type: "A", status: "True" }] }] },
        completions: 1,
        parallelism: 1,
        backoffLimit: 6,
        completionMode: "NonIndexed",
        suspend: false,
        manualSelector: false,
        podReplacementPolicy: "Failed",
        selector: { matchLabels: { "batch.kubernetes.io/controller-uid": "11111111-2222-3333-4444-555555555555" } },
      },
      status: {},
    },
  ],
  [
    "batch/v1/cronjobs",
    {
      spec: {
        schedule: "@daily",
        jobTemplate: {
          spec: {
            template: {
              metadata: { labels: { app: "web" } },
              spec: { containers: [{ name: "main", image: "nginx" }] },
            },
          },
        },
      },
    },
    {
      metadata: { generation: 1 },
      spec: {
        schedule: "@daily",
        jobTemplate: {
          spec: {
            template: {
              metadata: { labels: { app: "web" } },
              spec: {
                containers: [
                  {
                    name: "main",
                    image: "nginx",
                    imagePullPolicy: "Always",
                    terminationMessagePath: "/dev/termination-log",
                    terminationMessagePolicy: "File",
                    resources: {},
                  },
                ],
                restartPolicy: "Always",
                terminationGracePeriodSeconds: 30,
                dnsPolicy: "ClusterFirst",
                securityContext: {},
                schedulerName: "default-scheduler",
              },
            },
          },
        },
        concurrencyPolicy: "Allow",
        suspend: false,
        successfulJobsHistoryLimit: 3,
        failedJobsHistoryLimit: 1,
      },
      status: {},
    },
  ],
  [
    "autoscaling/v1/horizontalpodautoscalers",
    { spec: { scaleTargetRef: { kind: "Deployment", name: "web" }, maxReplicas: 2 } },
    {
      spec: { scaleTargetRef: { kind: "Deployment", name: "web" }, maxReplicas: 2, minReplicas: 1 },
      status: { currentReplicas: 0, desiredReplicas: 0 },
    },
  ],
  [
    "autoscaling/v2/horizontalpodautoscalers",
    {
      spec: {
        scaleTargetRef: { kind: "Deployment", name: "web" },
        maxReplicas: 2,
        behavior: { scaleUp: { stabilizationWindowSeconds: 5 } },
      },
    },
    {
      spec: {
        scaleTargetRef: { kind: "Deployment", name: "web" },
        maxReplicas: 2,
        behavior: {
          scaleUp: {
            stabilizationWindowSeconds: 5,
            selectPolicy: "Max",
            policies: [
              { type: "Pods", value: 4, periodSeconds: 15 },
              { type: "Percent", value: 100, periodSeconds: 15 },
            ],
          },
          scaleDown: { selectPolicy: "Max", policies: [{ type: "Percent", value: 100, periodSeconds: 15 }] },
        },
        minReplicas: 1,
        metrics: [
          { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } },
        ],
      },
      status: { desiredReplicas: 0, currentMetrics: null },
    },
  ],
  [
    "networking.k8s.io/v1/ingresses",
    { spec: { defaultBackend: { service: { name: "a", port: { number: 1 } } } } },
    {
      metadata: { generation: 1 },
      spec: { defaultBackend: { service: { name: "a", port: { number: 1 } } } },
      status: { loadBalancer: {} },
    },
  ],
  [
    "networking.k8s.io/v1/ingressclasses",
    { spec: { controller: "a.test/b", parameters: { kind: "A", name: "b" } } },
    {
      metadata: { generation: 1 },
      spec: { controller: "a.test/b", parameters: { kind: "A", name: "b", scope: "Cluster" } },
    },
  ],
  [
    "networking.k8s.io/v1/networkpolicies",
    { spec: { podSelector: {}, egress: [{ ports: [{ port: 53 }] }] } },
    {
      metadata: { generation: 1 },
      spec: {
        podSelector: {},
        egress: [{ ports: [{ port: 53, protocol: "TCP" }] }],
        policyTypes: ["Ingress", "Egress"],
      },
    },
  ],
  [
    "networking.k8s.io/v1/ipaddresses",
    { spec: { parentRef: { resource: "services", name: "a" } } },
    { spec: { parentRef: { resource: "services", name: "a" } } },
  ],
  [
    "networking.k8s.io/v1/servicecidrs",
    { spec: { cidrs: ["10.0.0.0/16"] } },
    { spec: { cidrs: ["10.0.0.0/16"] }, status: {} },
  ],
  [
    "policy/v1/poddisruptionbudgets",
    { spec: { minAvailable: 1 } },
    {
      metadata: { generation: 1 },
      spec: { minAvailable: 1 },
      status: { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 },
    },
  ],
  ["rbac.authorization.k8s.io/v1/roles", { rules: [] }, { rules: [] }],
  ["rbac.authorization.k8s.io/v1/clusterroles", { rules: [] }, { rules: [] }],
  [
    "rbac.authorization.k8s.io/v1/rolebindings",
    {
      roleRef: { kind: "Role", name: "r" },
      subjects: [
        { kind: "User", name: "u" },
        { kind: "ServiceAccount", name: "s" },
      ],
    },
    {
      roleRef: { kind: "Role", name: "r", apiGroup: "rbac.authorization.k8s.io" },
      subjects: [
        { kind: "User", name: "u", apiGroup: "rbac.authorization.k8s.io" },
        { kind: "ServiceAccount", name: "s" },
      ],
    },
  ],
  [
    "rbac.authorization.k8s.io/v1/clusterrolebindings",
    { roleRef: { kind: "ClusterRole", name: "r" } },
    { roleRef: { kind: "ClusterRole", name: "r", apiGroup: "rbac.authorization.k8s.io" } },
  ],
  [
    "scheduling.k8s.io/v1/priorityclasses",
    { value: 1 },
    { metadata: { generation: 1 }, value: 1, preemptionPolicy: "PreemptLowerPriority" },
  ],
  ["coordination.k8s.io/v1/leases", { spec: {} }, { spec: {} }],
  [
    "discovery.k8s.io/v1/endpointslices",
    { addressType: "IPv4", endpoints: [{ addresses: ["10.0.0.1"] }], ports: [{ port: 80 }] },
    {
      metadata: { generation: 1 },
      addressType: "IPv4",
      endpoints: [{ addresses: ["10.0.0.1"], conditions: {} }],
      ports: [{ port: 80, name: "", protocol: "TCP" }],
    },
  ],
  [
    "certificates.k8s.io/v1/certificatesigningrequests",
    { spec: { request: "", signerName: "a.test/b", usages: [] } },
    { spec: { request: "", signerName: "a.test/b", usages: [], username: "test" }, status: {} },
  ],
  [
    "storage.k8s.io/v1/storageclasses",
    { provisioner: "a.test" },
    { provisioner: "a.test", reclaimPolicy: "Delete", volumeBindingMode: "Immediate" },
  ],
  [
    "storage.k8s.io/v1/csidrivers",
    { spec: {} },
    {
      metadata: { generation: 1 },
      spec: {
        attachRequired: true,
        podInfoOnMount: false,
        storageCapacity: false,
        fsGroupPolicy: "ReadWriteOnceWithFSType",
        volumeLifecycleModes: ["Persistent"],
        requiresRepublish: false,
        seLinuxMount: false,
      },
    },
  ],
  [
    "storage.k8s.io/v1/volumeattachments",
    { spec: { attacher: "a", nodeName: "n", source: {} } },
    { spec: { attacher: "a", nodeName: "n", source: {} }, status: { attached: false } },
  ],
  [
    "node.k8s.io/v1/runtimeclasses",
    { handler: "crun", overhead: { podFixed: { cpu: "1000m" } } },
    { handler: "crun", overhead: { podFixed: { cpu: "1" } } },
  ],
  [
    "apiregistration.k8s.io/v1/apiservices",
    { spec: { service: { name: "a", namespace: "b" } } },
    { spec: { service: { name: "a", namespace: "b", port: 443 } }, status: {} },
  ],
  [
    "apiextensions.k8s.io/v1/customresourcedefinitions",
    {
      spec: {
        group: "a.test",
        scope: "Namespaced",
        names: { plural: "widgets", kind: "Widget" },
        versions: [{ name: "v1", served: true, storage: true }],
      },
    },
    {
      metadata: { generation: 1 },
      spec: {
        group: "a.test",
        scope: "Namespaced",
        names: { plural: "widgets", kind: "Widget", singular: "widget", listKind: "WidgetList" },
        versions: [{ name: "v1", served: true, storage: true }],
        conversion: { strategy: "None" },
      },
      status: { storedVersions: ["v1"] },
    },
  ],
  [
    "admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    {
      webhooks: [
        {
          name: "a.b.test",
          clientConfig: { service: { name: "a", namespace: "b" } },
          rules: [{ operations: ["*"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] }],
        },
      ],
    },
    {
      metadata: { generation: 1 },
      webhooks: [
        {
          name: "a.b.test",
          clientConfig: { service: { name: "a", namespace: "b", port: 443 } },
          rules: [{ operations: ["*"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], scope: "*" }],
          failurePolicy: "Fail",
          matchPolicy: "Equivalent",
          namespaceSelector: {},
          objectSelector: {},
          timeoutSeconds: 10,
        },
      ],
    },
  ],
  [
    "admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    {
      webhooks: [
        {
          name: "a.b.test",
          clientConfig: { service: { name: "a", namespace: "b" } },
          rules: [{ operations: ["*"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] }],
        },
      ],
    },
    {
      metadata: { generation: 1 },
      webhooks: [
        {
          name: "a.b.test",
          clientConfig: { service: { name: "a", namespace: "b", port: 443 } },
          rules: [{ operations: ["*"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], scope: "*" }],
          failurePolicy: "Fail",
          matchPolicy: "Equivalent",
          namespaceSelector: {},
          objectSelector: {},
          timeoutSeconds: 10,
          reinvocationPolicy: "Never",
        },
      ],
    },
  ],
  [
    "admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    { spec: { matchConstraints: {} } },
    {
      metadata: { generation: 1 },
      spec: {
        matchConstraints: { matchPolicy: "Equivalent", namespaceSelector: {}, objectSelector: {} },
        failurePolicy: "Fail",
      },
      status: {},
    },
  ],
  [
    "admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
    { spec: { matchConstraints: {} } },
    {
      metadata: { generation: 1 },
      spec: {
        matchConstraints: { matchPolicy: "Equivalent", namespaceSelector: {}, objectSelector: {} },
        failurePolicy: "Fail",
      },
    },
  ],
  [
    "admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
    { spec: { policyName: "p", matchResources: {} } },
    {
      metadata: { generation: 1 },
      spec: {
        policyName: "p",
        matchResources: { matchPolicy: "Equivalent", namespaceSelector: {}, objectSelector: {} },
      },
    },
  ],
  [
    "flowcontrol.apiserver.k8s.io/v1/flowschemas",
    { spec: { priorityLevelConfiguration: { name: "a" } } },
    {
      metadata: { generation: 1 },
      spec: { priorityLevelConfiguration: { name: "a" }, matchingPrecedence: 1000 },
      status: {},
    },
  ],
  [
    "flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations",
    { spec: { type: "Limited", limited: { limitResponse: { type: "Queue", queuing: {} } } } },
    {
      metadata: { generation: 1 },
      spec: {
        type: "Limited",
        limited: {
          limitResponse: { type: "Queue", queuing: { queues: 64, handSize: 8, queueLengthLimit: 50 } },
          nominalConcurrencyShares: 30,
          lendablePercent: 0,
        },
      },
      status: {},
    },
  ],
  ["resource.k8s.io/v1/deviceclasses", { spec: {} }, { metadata: { generation: 1 }, spec: {} }],
  [
    "resource.k8s.io/v1/resourceclaims",
    { spec: { devices: { requests: [{ name: "a", exactly: { deviceClassName: "c" } }] } } },
    {
      spec: {
        devices: {
          requests: [{ name: "a", exactly: { deviceClassName: "c", allocationMode: "ExactCount", count: 1 } }],
        },
      },
      status: {},
    },
  ],
  [
    "resource.k8s.io/v1/resourceclaimtemplates",
    {
      spec: {
        spec: { devices: { requests: [{ name: "a", exactly: { deviceClassName: "c", allocationMode: "All" } }] } },
      },
    },
    {
      spec: {
        spec: { devices: { requests: [{ name: "a", exactly: { deviceClassName: "c", allocationMode: "All" } }] } },
      },
    },
  ],
  [
    "resource.k8s.io/v1/resourceslices",
    { spec: { driver: "a", pool: { name: "p", generation: 0, resourceSliceCount: 1 } } },
    { metadata: { generation: 1 }, spec: { driver: "a", pool: { name: "p", generation: 0, resourceSliceCount: 1 } } },
  ],
];

const update: WriteContext = { verb: "update", subresource: "", dryRun: false, now: 0, user: "test", warn() {} };

describe.each(stored)("%s", (resource, minimal, expected) => {
  const definition = definitionOf(resource);

  it("fills in what the creator left out", () => {
    expect(withoutIdentity(storedForm(definition, minimal))).toEqual(expected);
  });

  it("fills in nothing more the second time", () => {
    const once = storedForm(definition, minimal);
    const twice = structuredClone(once);
    definition.defaults?.(twice);
    expect(twice).toEqual(once);
  });

  // Labels of endpoint slices and annotations of deployments count as upstream's do.
  it("keeps its generation when only finalizers change", () => {
    const before = storedForm(definition, minimal);
    const after = structuredClone(before);
    after.metadata.finalizers = ["example.com/held"];
    definition.beforeUpdate?.(after, before, update);
    expect(after.metadata.generation).toBe(before.metadata.generation);
  });
});

/** A change to the spec that raises the generation, for each resource that counts generations. */
const specChanges: Readonly<Record<string, Change>> = {
  "v1/pods": { "spec.activeDeadlineSeconds": 5 },
  "v1/podtemplates": { template: {} },
  "v1/replicationcontrollers": { "spec.replicas": 3 },
  "apps/v1/deployments": { "spec.replicas": 3 },
  "apps/v1/replicasets": { "spec.replicas": 3 },
  "apps/v1/statefulsets": { "spec.replicas": 3 },
  "apps/v1/daemonsets": { "spec.minReadySeconds": 3 },
  "batch/v1/jobs": { "spec.parallelism": 3 },
  "batch/v1/cronjobs": { "spec.suspend": true },
  "networking.k8s.io/v1/ingresses": { "spec.ingressClassName": "a" },
  "networking.k8s.io/v1/ingressclasses": { "spec.parameters": undefined },
  "networking.k8s.io/v1/networkpolicies": { "spec.egress": [] },
  "policy/v1/poddisruptionbudgets": { "spec.minAvailable": 2 },
  "apiextensions.k8s.io/v1/customresourcedefinitions": { "spec.preserveUnknownFields": true },
  "admissionregistration.k8s.io/v1/validatingadmissionpolicies": { "spec.failurePolicy": "Ignore" },
  "admissionregistration.k8s.io/v1/mutatingadmissionpolicies": { "spec.failurePolicy": "Ignore" },
  "admissionregistration.k8s.io/v1/validatingadmissionpolicybindings": { "spec.policyName": "q" },
  "flowcontrol.apiserver.k8s.io/v1/flowschemas": { "spec.matchingPrecedence": 5 },
  "flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations": { "spec.type": "Exempt" },
  "resource.k8s.io/v1/deviceclasses": { "spec.extendedResourceName": "a.test/b" },
  "resource.k8s.io/v1/resourceslices": { "spec.nodeName": "n" },
  "discovery.k8s.io/v1/endpointslices": { endpoints: [] },
  "admissionregistration.k8s.io/v1/validatingwebhookconfigurations": { webhooks: [] },
  "admissionregistration.k8s.io/v1/mutatingwebhookconfigurations": { webhooks: [] },
};

/** These have a generation too: a priority class keeps its first one, and a CSI driver's rises by the rule every kind has that sets none. */
const startingOnly = ["scheduling.k8s.io/v1/priorityclasses", "storage.k8s.io/v1/csidrivers"];

describe("generations", () => {
  it("start at 1 for the resources that count them, and for no other", () => {
    const counting = stored.filter(([, , object]) => (object as Partial<KubeObject>).metadata?.generation === 1);
    expect(counting.map(([resource]) => resource).sort()).toEqual(
      [...Object.keys(specChanges), ...startingOnly].sort(),
    );
  });

  it("of priority classes stay as they are", () => {
    const definition = definitionOf("scheduling.k8s.io/v1/priorityclasses");
    const before = storedForm(definition, { value: 1 });
    const after = { ...structuredClone(before), description: "other" };
    definition.beforeUpdate?.(after, before, update);
    expect([definition.beforeUpdate === undefined, after.metadata.generation]).toEqual([false, 1]);
  });

  it.each(Object.entries(specChanges))("of %s rise when the spec changes", (resource, change) => {
    const definition = definitionOf(resource);
    const minimal = stored.find(([name]) => name === resource)?.[1] ?? {};
    const before = storedForm(definition, minimal);
    const after = changed(before, change);
    definition.beforeUpdate?.(after, before, update);
    expect(after.metadata.generation).toBe(2);
  });
});

function definitionOf(resource: string): ResourceDefinition {
  const found = definitions.find((one) => `${apiVersionOf(one)}/${one.plural}` === resource);
  if (!found) throw new Error(`nothing serves ${resource}`);
  return found;
}

function withoutIdentity(object: KubeObject): object {
  const { metadata, ...rest } = object;
  const { name: _name, uid: _uid, namespace: _namespace, ...others } = metadata;
  return Object.keys(others).length > 0 ? { metadata: others, ...rest } : rest;
}
