import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { endpoints } from "./endpoints.ts";
import { podTemplates } from "./pod-template.ts";
import { replicationControllers } from "./replication-controller.ts";

const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const namePart =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const metadata = { name: "web", namespace: "default" };

const subset = { addresses: [{ ip: "10.0.0.1" }], ports: [{ port: 80 }] };
refuses(endpoints, { metadata, subsets: [subset] }, [
  [
    "with nobody behind",
    { "subsets.0.addresses": [] },
    ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"],
  ],
  [
    "with addresses that are none, or special",
    { "subsets.0.addresses": [{ ip: "x" }, { ip: "127.0.0.1", hostname: "A", nodeName: "" }] },
    [
      'subsets[0].addresses[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      'subsets[0].addresses[0].ip: Invalid value: "x": must be a valid IP address',
      `subsets[0].addresses[1].hostname: Invalid value: "A": ${label}`,
      "subsets[0].addresses[1].nodeName: Invalid value: \"\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      'subsets[0].addresses[1].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
    ],
  ],
  [
    "with ports that cannot be",
    { "subsets.0.ports": [{ port: 0 }, { port: 80, name: "b", protocol: "Q" }] },
    [
      "subsets[0].ports[0].name: Required value",
      "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
      'subsets[0].ports[1].protocol: Unsupported value: "Q": supported values: "SCTP", "TCP", "UDP"',
    ],
  ],
]);

const template = { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "nginx" }] } };
refuses(podTemplates, { metadata, template }, [
  ["without containers", { "template.spec.containers": [] }, ["template.spec.containers: Required value"]],
  [
    "with odd labels",
    { "template.metadata.labels": { "a b": "" } },
    [`template.labels: Invalid value: "a b": ${namePart}`],
  ],
]);
refuses(replicationControllers, { metadata, spec: { template } }, [
  ["that selects nothing", { "spec.template.metadata.labels": {} }, ["spec.selector: Required value"]],
  ["of nothing", { "spec.template": undefined, "spec.selector": { a: "b" } }, ["spec.template: Required value"]],
  [
    "whose selector misses its pods",
    { "spec.selector": { app: "other" } },
    ['spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`'],
  ],
  [
    "of less than nothing, and pods that end",
    {
      "spec.replicas": -1,
      "spec.minReadySeconds": -1,
      "spec.template.spec.restartPolicy": "OnFailure",
      "spec.template.spec.activeDeadlineSeconds": 1,
    },
    [
      "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
      "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
      'spec.template.spec.restartPolicy: Unsupported value: "OnFailure": supported values: "Always"',
      "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicationController is not Supported",
    ],
  ],
]);
const negative = "spec.replicas: Invalid value: -1: must be greater than or equal to 0";
refusesChanges(replicationControllers, { metadata, spec: { template } }, [
  ["to less than nothing is refused twice", { "spec.replicas": -1 }, [negative, negative]],
]);
refusesChanges(
  replicationControllers,
  { metadata, spec: { template } },
  [
    [
      "may not count more than there are",
      { status: { replicas: 1, readyReplicas: 2, availableReplicas: 3 } },
      [
        "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas",
        "status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas",
        "status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas",
      ],
    ],
  ],
  "status",
);
