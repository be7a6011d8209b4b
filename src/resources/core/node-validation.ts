/** What a Node must fulfil, in upstream's words. */
import type { Node, Taint } from "../../api/core/v1.ts";
import {
  duplicate,
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
import { internalForm } from "./internal-form.ts";
import { taintEffects } from "./pod-spec/scheduling.ts";
import { validAmount } from "./resource-names.ts";

export function validateNode(next: Node, previous: Node | undefined): FieldError[] {
  // Upstream looks at the node as such and then at the change, with most rules in both.
  return previous ? [...validNode(next), ...validateNodeChange(next, previous)] : validNode(next);
}

function validNode({ spec, status }: Node): FieldError[] {
  return [...validTaints(spec?.taints), ...validAmounts(status), ...validPodCidrs(spec?.podCIDRs)];
}

function validAmounts(status: Node["status"]): FieldError[] {
  return (["capacity", "allocatable"] as const).flatMap((list) =>
    Object.entries(status?.[list] ?? {})
      .sort()
      .flatMap(([name, amount]) => validAmount(name, amount, statusPath.child(list, name))),
  );
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
  return [
    ...errors,
    ...each(cidrs, path, (cidr, at, index) => (cidrs.indexOf(cidr) < index ? [duplicate(at, cidr)] : [])),
  ];
}

/** Also of writes to status. */
export function validateNodeChange(next: Node, previous: Node): FieldError[] {
  const errors = validAmounts(next.status);
  const addresses = new Set<string>();
  errors.push(
    ...each(next.status?.addresses, statusPath.child("addresses"), ({ type, address }, path) => {
      const shown = { Type: type, Address: address };
      const identity = JSON.stringify(shown);
      if (addresses.has(identity)) return [duplicate(path, shown)];
      addresses.add(identity);
      return [];
    }),
  );
  const [now, before] = [next.spec ?? {}, previous.spec ?? {}];
  const [cidrsNow, cidrsBefore] = [now.podCIDRs ?? [], before.podCIDRs ?? []];
  const refusal = forbidden(specPath.child("podCIDRs"), 'node updates may not change podCIDR except from "" to valid');
  if (cidrsBefore.length > 0 && cidrsBefore.length !== cidrsNow.length) errors.push(refusal);
  else for (const [index, cidr] of cidrsBefore.entries()) if (cidr !== cidrsNow[index]) errors.push(refusal);
  if (before.providerID && before.providerID !== now.providerID) {
    const detail = 'node updates may not change providerID except from "" to valid';
    errors.push(forbidden(specPath.child("providerID"), detail));
  }
  errors.push(...validTaints(now.taints));
  if ((now.externalID ?? "") !== (before.externalID ?? "")) {
    errors.push(forbidden(specPath.child("externalID"), "may not be updated"));
  }
  return errors;
}
