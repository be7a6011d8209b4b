/** IngressClasses: who implements which Ingresses. */
import type { IngressClass } from "../../api/networking/v1.ts";
import { validDomainPrefixedPath } from "../../apimachinery/domain-prefixed-path.ts";
import { type FieldError, forbidden, required, spec as specPath, tooLong } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { bumpGenerationOnSpecChange } from "../apps/workload.ts";
import { age, name, none, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { oneOf, unchanged, validDnsLabel } from "../validation/rules.ts";
import { validObjectReference } from "./object-reference.ts";

const maximumControllerLength = 250;

export const ingressClasses = defineResource<IngressClass>({
  ...served("networking.k8s.io/v1", "ingressclasses"),
  metadataLooks: { update: ["change", "whole"] },
  defaults({ spec }) {
    if (spec?.parameters) spec.parameters.scope ??= "Cluster";
  },
  beforeCreate(ingressClass) {
    ingressClass.metadata.generation = 1;
  },
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: ({ spec }, previous) => [
    ...(previous ? unchanged(spec.controller, previous.spec.controller, specPath.child("controller")) : []),
    ...validClass(spec),
  ],
  columns: [
    name,
    text("Controller", ({ spec }) => spec.controller ?? ""),
    text("Parameters", ({ spec }) => {
      if (!spec.parameters) return none;
      const { apiGroup, kind, name: parametersName } = spec.parameters;
      return `${apiGroup ? `${kind}.${apiGroup}` : kind}/${parametersName}`;
    }),
    age,
  ],
});

function validClass({ controller = "", parameters }: IngressClass["spec"]): FieldError[] {
  const path = specPath.child("controller");
  const errors = controller.length > maximumControllerLength ? [tooLong(path, maximumControllerLength)] : [];
  errors.push(...validDomainPrefixedPath(controller, path));
  if (!parameters) return errors;
  const parametersPath = specPath.child("parameters");
  const namespacePath = parametersPath.child("namespace");
  errors.push(...validObjectReference(parameters, parametersPath));
  errors.push(...oneOf(parameters.scope ?? "", ["Cluster", "Namespace"], parametersPath.child("scope")));
  if (parameters.scope === "Namespace") {
    errors.push(
      ...(parameters.namespace === undefined
        ? [required(namespacePath, "`parameters.scope` is set to 'Namespace'")]
        : validDnsLabel(parameters.namespace, namespacePath)),
    );
  }
  if (parameters.scope === "Cluster" && parameters.namespace !== undefined) {
    errors.push(forbidden(namespacePath, "`parameters.scope` is set to 'Cluster'"));
  }
  return errors;
}
