/** CEL as admission has it: the variables that policies and match conditions see, and policies' own variables on top of them. */
import type { NamedRuleWithOperations } from "../../api/admissionregistration/v1.ts";
import { type Compiled, compile } from "./compile.ts";
import type { Environment } from "./environment.ts";
import { kubernetesEnvironment } from "./kubernetes-environment.ts";
import { authorizerType, resourceCheckType } from "./library/authorizer.ts";
import {
  Bool,
  type CelType,
  Dyn,
  declaredTypeName,
  Int,
  listOf,
  mapOf,
  type ObjectField,
  type ObjectType,
  objectOf,
  Text,
  Timestamp,
} from "./types.ts";

const kindType = objectOf("kubernetes.GroupVersionKind", { group: Text, version: Text, kind: Text });
const resourceType = objectOf("kubernetes.GroupVersionResource", { group: Text, version: Text, resource: Text });
const userInfoType = objectOf("kubernetes.UserInfo", {
  username: Text,
  uid: Text,
  groups: listOf(Text),
  extra: mapOf(Text, listOf(Text)),
});

const requestType = objectOf("kubernetes.AdmissionRequest", {
  kind: kindType,
  resource: resourceType,
  subResource: Text,
  requestKind: kindType,
  requestResource: resourceType,
  requestSubResource: Text,
  name: Text,
  namespace: Text,
  operation: Text,
  userInfo: userInfoType,
  dryRun: Bool,
  options: Dyn,
});

const namespaceType = objectOf("kubernetes.Namespace", {
  // Upstream spells the uid this way, so that no expression can read it.
  metadata: objectOf("kubernetes.NamespaceMetadata", {
    name: Text,
    generateName: Text,
    namespace: Text,
    labels: mapOf(Text, Text),
    annotations: mapOf(Text, Text),
    UID: Text,
    creationTimestamp: Timestamp,
    deletionGracePeriodSeconds: Int,
    deletionTimestamp: Timestamp,
    generation: Int,
    resourceVersion: Text,
    finalizers: listOf(Text),
  }),
  spec: objectOf("kubernetes.NamespaceSpec", { finalizers: listOf(Text) }),
  status: objectOf("kubernetes.NamespaceStatus", {
    conditions: listOf(
      objectOf("kubernetes.NamespaceCondition", {
        status: Text,
        type: Text,
        lastTransitionTime: Timestamp,
        message: Text,
        reason: Text,
      }),
    ),
    phase: Text,
  }),
});

/** The struct that holds a policy's variables. */
export const variablesTypeName = "kubernetes.variables";

const jsonPatchType: ObjectType = {
  ...objectOf("JSONPatch", { op: Text, path: Text, from: Text, value: Dyn }),
  constructible: true,
};

export interface AdmissionScope {
  /** Of `object` and `oldObject`; default dyn, as requests are judged. */
  objectType?: CelType;
  /** Default: there are none. */
  paramsType?: CelType;
  /** Messages may not ask what somebody may do. */
  withoutAuthorizer?: boolean;
  /** Mutations make `Object` and `JSONPatch`. */
  patchTypes?: boolean;
  variables?: ObjectType;
}

export function admissionEnvironment(scope: AdmissionScope): Environment {
  const objectType = scope.objectType ?? Dyn;
  return kubernetesEnvironment({
    variables: {
      object: objectType,
      oldObject: objectType,
      request: requestType,
      ...(scope.withoutAuthorizer
        ? {}
        : { authorizer: authorizerType, "authorizer.requestResource": resourceCheckType }),
      namespaceObject: namespaceType,
      ...(scope.paramsType ? { params: scope.paramsType } : {}),
      ...(scope.variables ? { variables: scope.variables } : {}),
    },
    ...(scope.patchTypes ? { objectTypes: [jsonPatchType], openType: "Object" } : {}),
  });
}

/** What an expression must evaluate to, as upstream prints types. */
export type WantedType = "bool" | "string" | "null_type" | "list(JSONPatch)" | "Object";

export interface PolicyScope extends Pick<AdmissionScope, "objectType" | "paramsType"> {
  /** Expressions may ask for `variables`, even when there are none. Default: once there is one. */
  hasVariables?: boolean;
}

/** Compiles one policy's expressions: variables in order, each seeing those before it, then everything else. */
export class PolicyExpressions {
  readonly #scope: AdmissionScope;
  readonly #fields = new Map<string, ObjectField>();
  #hasVariables: boolean;
  /** By what they are for; variables change them all. */
  readonly #environments = new Map<string, Environment>();

  constructor({ hasVariables = false, ...scope }: PolicyScope) {
    this.#scope = scope;
    this.#hasVariables = hasVariables;
  }

  /** Expressions that come after it may read the variable, even if it does not compile. */
  addVariable(name: string, expression: string): Compiled {
    this.#hasVariables = true;
    const compiled = compile(expression, this.#environment("variable", {}));
    this.#fields.set(name, { type: variableType(compiled.program?.type), jsonName: name });
    this.#environments.clear();
    return compiled;
  }

  /** `wanted`: default anything. */
  expression(expression: string, ...wanted: WantedType[]): Compiled {
    return ofType(compile(expression, this.#environment("expression", {})), wanted);
  }

  /** Of a text for whoever is refused. `wanted`: as for `expression`. */
  message(expression: string, ...wanted: WantedType[]): Compiled {
    return ofType(compile(expression, this.#environment("message", { withoutAuthorizer: true })), wanted);
  }

  /** Of a change, which makes what is put into the object. */
  mutation(expression: string, wanted: "list(JSONPatch)" | "Object"): Compiled {
    return ofType(compile(expression, this.#environment("mutation", { patchTypes: true })), [wanted]);
  }

  /** Whether a request is looked at at all is known before any variable is. */
  condition(expression: string): Compiled {
    let environment = this.#environments.get("condition");
    if (!environment) this.#environments.set("condition", (environment = admissionEnvironment(this.#scope)));
    return ofType(compile(expression, environment), ["bool"]);
  }

  #environment(purpose: string, more: AdmissionScope): Environment {
    const known = this.#environments.get(purpose);
    if (known) return known;
    const variables: ObjectType = { kind: "object", name: variablesTypeName, fields: new Map(this.#fields) };
    const environment = admissionEnvironment({ ...this.#scope, ...more, ...(this.#hasVariables ? { variables } : {}) });
    this.#environments.set(purpose, environment);
    return environment;
  }
}

/** Variables forget the structs that they hold, as upstream's do. */
function variableType(type: CelType = Dyn): CelType {
  switch (type.kind) {
    case "list":
      return listOf(variableType(type.element));
    case "map":
      return mapOf(variableType(type.key), variableType(type.value));
    case "object":
    case "opaque":
    case "type":
    case "parameter":
      return Dyn;
    default:
      return type;
  }
}

/** What is only known when there is a request will not do. */
function ofType(compiled: Compiled, wanted: readonly WantedType[]): Compiled {
  if (!compiled.program || wanted.length === 0) return compiled;
  const got = declaredTypeName(compiled.program.type);
  if ((wanted as readonly string[]).includes(got)) return compiled;
  const types = wanted.length === 1 ? wanted[0] : `one of [${wanted.join(" ")}]`;
  const message = `must evaluate to ${types} but got ${got}`;
  return { issues: [{ at: 0, message }], message };
}

/** The kinds that rules name, without wildcards: what expressions can be checked against before there is any request. */
export function* namedResources(
  rules: readonly NamedRuleWithOperations[] | undefined,
): Generator<{ group: string; version: string; resource: string }> {
  for (const { apiGroups = [], apiVersions = [], resources = [] } of rules ?? []) {
    if ([...apiGroups, ...apiVersions, ...resources].some((text) => text.includes("*"))) continue;
    for (const group of apiGroups) {
      for (const version of apiVersions) {
        for (const resource of resources) if (!resource.includes("/")) yield { group, version, resource };
      }
    }
  }
}
