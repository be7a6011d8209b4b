/** IngressClasses: who implements which Ingresses. */
import type { IngressClass } from "../../api/networking/v1.ts";
import { type FieldError, forbidden, required, spec as specPath, tooLong } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { bumpGenerationOnSpecChange } from "../apps/workload.ts";
import { age, name, none, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { validDomainPrefixedPath } from "../validation/domain-prefixed-path.ts";
import { oneOf, unchanged } from "../validation/rules.ts";

const maximumControllerLength = 250;

export const ingressClasses = defineResource<IngressClass>({
  ...served("networking.k8s.io/v1", "ingressclasses"),
  defaults({ spec }) {
    if (spec?.parameters) spec.parameters.scope ??= "Cluster";
  },
  beforeCreate(ingressClass) {
    ingressClass.metadata.generation = 1;
  },
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: ({ spec }, previous) => [
    ...validClass(spec),
    ...(previous ? unchanged(spec.controller, previous.spec.controller, specPath.child("controller")) : []),
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
  for (const field of ["kind", "name"] as const) {
    if (!parameters[field]) errors.push(required(parametersPath.child(field)));
  }
  errors.push(...oneOf(parameters.scope ?? "", ["Cluster", "Namespace"], parametersPath.child("scope")));
  if (parameters.scope === "Namespace" && !parameters.namespace) {
    errors.push(required(parametersPath.child("namespace"), "`parameters.scope` is set to 'Namespace'"));
  }
  if (parameters.scope === "Cluster" && parameters.namespace) {
    errors.push(forbidden(parametersPath.child("namespace"), "`parameters.scope` is set to 'Cluster'"));
  }
  return errors;
}
