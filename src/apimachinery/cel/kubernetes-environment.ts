/** CEL as Kubernetes has it: the standard language with all of Kubernetes' libraries. */
import { Environment, type EnvironmentOptions } from "./environment.ts";
import { authorizerLibrary } from "./library/authorizer.ts";
import { formatLibrary } from "./library/format.ts";
import { listsLibrary } from "./library/lists.ts";
import { networkLibrary } from "./library/network.ts";
import { optionalsLibrary } from "./library/optionals.ts";
import { quantityLibrary } from "./library/quantity.ts";
import { regexLibrary } from "./library/regex.ts";
import { standardLibrary } from "./library/standard.ts";
import { stringsLibrary } from "./library/strings.ts";

const libraries = [
  ...standardLibrary,
  stringsLibrary,
  optionalsLibrary,
  listsLibrary,
  regexLibrary,
  networkLibrary,
  quantityLibrary,
  formatLibrary,
  authorizerLibrary,
];

const typeNames = [
  "net.IP",
  "net.CIDR",
  "kubernetes.URL",
  "kubernetes.Quantity",
  "kubernetes.Semver",
  "kubernetes.NamedFormat",
];

/** The same libraries for everybody: what differs are the variables. */
export function kubernetesEnvironment(options: Omit<EnvironmentOptions, "libraries" | "typeNames">): Environment {
  return new Environment({ libraries, typeNames, ...options });
}
