import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { leases } from "./lease.ts";

const metadata = { name: "web", namespace: "default" };

refuses(leases, { metadata, spec: {} }, [
  [
    "for no time",
    { "spec.leaseDurationSeconds": 0, "spec.leaseTransitions": -1 },
    [
      "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
      "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
    ],
  ],
  ["never for ways of election that are switched off", { "spec.strategy": "Odd", "spec.preferredHolder": "me" }, []],
]);
refuses(leases, { metadata }, [["never for saying nothing", { spec: {} }, []]]);
refusesChanges(leases, { metadata, spec: { holderIdentity: "a", leaseDurationSeconds: 15 } }, [
  ["may hand it over", { "spec.holderIdentity": "b", "spec.leaseTransitions": 1 }, []],
  [
    "may not make it last no time",
    { "spec.leaseDurationSeconds": -1 },
    ["spec.leaseDurationSeconds: Invalid value: -1: must be greater than 0"],
  ],
]);
