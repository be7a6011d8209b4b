import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { deviceClasses, resourceClaims } from "./dynamic-resources.ts";

const choice = "exactly one of `exactly` or `firstAvailable` is required";
const claim = {
  metadata: { name: "web", namespace: "default" },
  spec: { devices: { requests: [{ name: "gpu", exactly: { deviceClassName: "gpu.test" } }] } },
};

refuses(resourceClaims, claim, [
  [
    "for one device and for one of several, each looked at",
    {
      "spec.devices.requests.0": {
        name: "gpu",
        exactly: { deviceClassName: "" },
        firstAvailable: [{ name: "a", deviceClassName: "" }],
      },
    },
    [
      "spec.devices.requests[0].firstAvailable[0].deviceClassName: Required value",
      "spec.devices.requests[0].exactly.deviceClassName: Required value",
      `spec.devices.requests[0]: Invalid value: null: ${choice}, but multiple fields are set`,
    ],
  ],
  [
    "for none of none",
    { "spec.devices.requests.0": { name: "gpu", firstAvailable: [] } },
    [`spec.devices.requests[0]: Required value: ${choice}`],
  ],
]);
refusesChanges(resourceClaims, claim, [
  [
    "may not ask for another device",
    { "spec.devices.requests.0.exactly.count": 2 },
    [
      'spec: Invalid value: {"devices":{"requests":[{"name":"gpu","exactly":{"deviceClassName":"gpu.test","allocationMode":"ExactCount","count":2}}]}}: field is immutable',
    ],
  ],
]);

const tooLong = `"${"é".repeat(5120)}" == ""`;
refuses(deviceClasses, { metadata: { name: "web" }, spec: {} }, [
  [
    "by an expression with more bytes than anybody reads",
    { "spec.selectors": [{ cel: { expression: tooLong } }] },
    ["spec.selectors[0].cel.expression: Too long: may not be more than 10240 bytes"],
  ],
]);
refusesChanges(deviceClasses, { metadata: { name: "web" }, spec: {} }, [
  ["may choose others", { "spec.selectors": [{ cel: { expression: "device.driver == 'a'" } }] }, []],
  // Upstream looks twice.
  [
    "may not choose by nothing",
    { "spec.selectors": [{}] },
    ["spec.selectors[0].cel: Required value", "spec.selectors[0].cel: Required value"],
  ],
]);
