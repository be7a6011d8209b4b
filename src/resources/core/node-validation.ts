/** What a Node must fulfil, in upstream's words. */
import type { Node, Taint } from "../../api/core/v1.ts";
import {
  type FieldError,
  forbidden,
  invalid,
  metadata,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { labelValueProblems, qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { familyOf } from "../../base/ip.ts";
import { validCidr } from "../validation/ip.ts";
import { each, obeys, oneOf } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { internalForm } from "./internal-form.ts";
import { taintEffects } from "./pod-spec/scheduling.ts";
import { validAmount, validResourceName } from "./resource-names.ts";

export function validateNode(next: Node, previous: Node | undefined): FieldError[] {
  return previous ? [...validChange(next, previous), ...validTaints(next.spec?.taints)] : validNewNode(next);
}

function validNewNode({ spec, status }: Node): FieldError[] {
  const errors = validTaints(spec?.taints);
  for (const [name, amount] of Object.entries(status?.capacity ?? {})) {
    const path = statusPath.child("capacity").key(name);
    errors.push(...validResourceName(name, path), ...validAmount(name, amount, path));
  }
  return [...errors, ...validPodCidrs(spec?.podCIDRs)];
}

/** Upstream looks for taints below metadata. */
function validTaints(taints: readonly Taint[] | undefined): FieldError[] {
  const seen = new Set<string>();
  return each(taints, metadata.child("taints"), (taint, path) => {
    const errors = obeys(taint.key ?? "", qualifiedNameProblems, path.child("key"));
    const problems = labelValueProblems(taint.value ?? "");
    if (problems.length > 0) errors.push(invalid(path.child("value"), taint.value, problems.join(";")));
    errors.push(
      ...(taint.effect ? oneOf(taint.effect, taintEffects, path.child("effect")) : [required(path.child("effect"))]),
    );
    const identity = `${taint.key}:${taint.effect}`;
    if (seen.has(identity)) {
      const shown = JSON.stringify(internalForm("Taint", taint));
      errors.push({
        reason: "FieldValueDuplicate",
        field: path.toString(),
        message: `Duplicate value: ${shown}: taints must be unique by key and effect pair`,
      });
    }
    seen.add(identity);
    return errors;
  });
}

function validPodCidrs(cidrs: readonly string[] | undefined): FieldError[] {
  const path = specPath.child("podCIDRs");
  const errors = each(cidrs, path, validCidr);
  if (errors.length > 0 || !cidrs) return errors;
  if (cidrs.length !== new Set(cidrs.map(familyOf)).size) {
    errors.push(invalid(path, cidrs, "may specify no more than one CIDR for each IP family"));
  }
  return errors;
}

function validChange(next: Node, previous: Node): FieldError[] {
  const errors: FieldError[] = [];
  const [now, before] = [next.spec ?? {}, previous.spec ?? {}];
  if (before.podCIDRs?.length) {
    if (!semanticallyEqual(now.podCIDRs, before.podCIDRs)) {
      const detail = 'node updates may not change podCIDR except from "" to valid';
      errors.push(forbidden(specPath.child("podCIDRs"), detail));
    }
  } else {
    errors.push(...validPodCidrs(now.podCIDRs));
  }
  if (before.providerID && before.providerID !== now.providerID) {
    const detail = 'node updates may not change providerID except from "" to valid';
    errors.push(forbidden(specPath.child("providerID"), detail));
  }
  return errors;
}
