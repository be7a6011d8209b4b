/** CEL as admission has it: the variables that policies and match conditions see, and policies' own variables on top of them. */
import type { NamedRuleWithOperations } from "../../api/admissionregistration/v1.ts";
import { schemaForKind } from "../../api/schema.ts";
import { type Compiled, compile } from "./compile.ts";
import type { Environment } from "./environment.ts";
import { kubernetesEnvironment } from "./kubernetes-environment.ts";
import { authorizerType, resourceCheckType } from "./library/authorizer.ts";
import { celTypeOfSchema } from "./schema-types.ts";
import { Bool, type CelType, Dyn, listOf, mapOf, type ObjectField, type ObjectType, objectOf, Text } from "./types.ts";

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
  /** Webhooks' conditions do not see the namespace. */
  withoutNamespace?: boolean;
  /** Messages may not ask what somebody may do. */
  withoutAuthorizer?: boolean;
  /** Mutations make `Object` and `JSONPatch`. */
  mutations?: boolean;
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
      ...(scope.withoutNamespace ? {} : { namespaceObject: celTypeOfSchema(schemaForKind("", "v1", "Namespace")!) }),
      ...(scope.paramsType ? { params: scope.paramsType } : {}),
      ...(scope.variables ? { variables: scope.variables } : {}),
    },
    ...(scope.mutations ? { objectTypes: [jsonPatchType], openType: "Object" } : {}),
  });
}

/** Compiles one policy's expressions: variables in order, each seeing those before it, then everything else. */
export class PolicyExpressions {
  readonly #scope: AdmissionScope;
  readonly #fields = new Map<string, ObjectField>();
  #environment: Environment | undefined;
  #messages: Environment | undefined;

  constructor(scope: AdmissionScope) {
    this.#scope = scope;
  }

  /** Expressions that come after it may read the variable, even if it does not compile. */
  addVariable(name: string, expression: string): Compiled {
    const compiled = this.#compile(expression);
    this.#fields.set(name, { type: compiled.program?.type ?? Dyn, jsonName: name });
    this.#environment = undefined;
    this.#messages = undefined;
    return compiled;
  }

  /** `wanted` says what it must evaluate to: `bool`, `string`. */
  expression(expression: string, ...wanted: string[]): Compiled {
    return ofKind(this.#compile(expression), wanted);
  }

  /** Of a text for whoever is refused. */
  message(expression: string): Compiled {
    this.#messages ??= this.#environmentWith({ withoutAuthorizer: true });
    return ofKind(compile(expression, this.#messages), ["string"]);
  }

  #compile(expression: string): Compiled {
    this.#environment ??= this.#environmentWith({});
    return compile(expression, this.#environment);
  }

  #environmentWith(more: AdmissionScope): Environment {
    const variables: ObjectType = { kind: "object", name: variablesTypeName, fields: new Map(this.#fields) };
    return admissionEnvironment({ ...this.#scope, ...more, variables });
  }
}

function ofKind(compiled: Compiled, wanted: readonly string[]): Compiled {
  const kind = compiled.program?.type.kind;
  if (kind === undefined || kind === "dyn" || wanted.length === 0 || wanted.includes(kind)) return compiled;
  const list = wanted.map((one) => (one === "null" ? "null_type" : one));
  const message = list.length === 1 ? `must evaluate to ${list[0]}` : `must evaluate to one of ${list.join(", ")}`;
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
