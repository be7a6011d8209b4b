/** `kubectl create namespace` and `serviceaccount`: objects that are little more than a name. */
import { objectOf } from "../../generators.ts";
import type { Generators } from "./generator.ts";

export const places: Generators = {
  namespace: {
    summary: "Create a namespace with the specified name",
    usage: "NAME [--dry-run=server|client|none]",
    flags: [],
    make: (_, name) => objectOf("v1", "Namespace", name, {}),
  },
  serviceaccount: {
    summary: "Create a service account with the specified name",
    usage: "NAME [--dry-run=server|client|none]",
    flags: [],
    failure: "failed to create serviceaccount",
    make: (_, name) => objectOf("v1", "ServiceAccount", name, {}),
  },
};
