import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { runtimeClasses } from "./runtime-class.ts";

const namePart =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const valid = { metadata: { name: "web" }, handler: "crun" };

refuses(runtimeClasses, valid, [
  ["of nobody", { handler: "" }, [`handler: Invalid value: "": ${label}`]],
  [
    "of somebody with too long a name",
    { handler: `${"a".repeat(64)}.b` },
    [
      `handler: Invalid value: "${"a".repeat(64)}.b": must be no more than 63 characters`,
      `handler: Invalid value: "${"a".repeat(64)}.b": must not contain dots`,
    ],
  ],
  [
    // Upstream takes what pods cost for what a container is limited to.
    "with costs that are none",
    { overhead: { podFixed: { gold: "1", memory: "-1", "hugepages-2Mi": "3Mi" } } },
    [
      'overhead.limits[gold]: Invalid value: "gold": must be a standard resource type or fully qualified',
      'overhead.limits[gold]: Invalid value: "gold": must be a standard resource for containers',
      'overhead.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi',
      'overhead.limits[memory]: Invalid value: "-1": must be greater than or equal to 0',
    ],
  ],
  [
    "that costs pages alone",
    { overhead: { podFixed: { "hugepages-2Mi": "2Mi" } } },
    ["overhead: Forbidden: HugePages require cpu or memory"],
  ],
  [
    "for nodes that cannot be named, and for taints twice",
    {
      scheduling: {
        nodeSelector: { "-": "a" },
        tolerations: [
          { key: "a", operator: "Exists", value: "b" },
          { key: "c", effect: "NoExecute" },
          { key: "c", effect: "NoExecute", tolerationSeconds: 5 },
        ],
      },
    },
    [
      `scheduling.nodeSelector: Invalid value: "-": ${namePart}`,
      "scheduling.tolerations.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
      'scheduling.tolerations[2]: Duplicate value: {"Key":"c","Operator":"","Value":"","Effect":"NoExecute","TolerationSeconds":5}',
    ],
  ],
]);
refusesChanges(runtimeClasses, valid, [
  ["may cost more", { overhead: { podFixed: { cpu: "1" } } }, []],
  ["may not be run by another", { handler: "kata" }, ['handler: Invalid value: "kata": field is immutable']],
]);
