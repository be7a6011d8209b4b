import { refuses } from "../../testing/refusals.ts";
import { apiServices } from "./api-service.ts";

const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const label =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

refuses(
  apiServices,
  {
    metadata: { name: "v1.a.test" },
    spec: { group: "a.test", version: "v1", groupPriorityMinimum: 1, versionPriority: 1 },
  },
  [
    [
      "under another name",
      { "metadata.name": "x" },
      ['metadata.name: Invalid value: "x": must be `spec.version+"."+spec.group`: "v1.a.test"'],
    ],
    [
      "of no rank",
      { "spec.groupPriorityMinimum": 0, "spec.versionPriority": 1001 },
      [
        "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000",
        "spec.versionPriority: Invalid value: 1001: must be positive and less than 1000",
      ],
    ],
    [
      "of nobody",
      { "spec.service": {} },
      ["spec.service.namespace: Required value", "spec.service.name: Required value"],
    ],
    [
      "for a group that has no name",
      { "metadata.name": "v2.", "spec.group": "", "spec.version": "v2" },
      ["spec.group: Required value: only v1 may have an empty group and it better be legacy kube"],
    ],
    [
      "for what is no group-version",
      { "metadata.name": "1.A", "spec.group": "A", "spec.version": "1" },
      [`spec.group: Invalid value: "A": ${subdomain}`, `spec.version: Invalid value: "1": ${label}`],
    ],
    [
      "under a name that no path holds",
      { "metadata.name": "v1.a.test/b%" },
      [
        "metadata.name: Invalid value: \"v1.a.test/b%\": may not contain '/'",
        "metadata.name: Invalid value: \"v1.a.test/b%\": may not contain '%'",
      ],
    ],
    [
      "of this server's, and yet to be trusted or not",
      { "spec.caBundle": "AAEC", "spec.insecureSkipTLSVerify": true },
      [
        'spec.caBundle: Invalid value: "3 bytes": local APIServices may not have a caBundle',
        "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
      ],
    ],
    [
      "both to be trusted and not, at no port",
      {
        "spec.caBundle": "AAEC",
        "spec.insecureSkipTLSVerify": true,
        "spec.service": { name: "a", namespace: "b", port: 0 },
      },
      [
        "spec.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive",
        "spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present",
      ],
    ],
  ],
);
