/** ServiceCIDRs and IPAddresses: from where, and to whom, Services' addresses are given. */
import type { IPAddress, ServiceCIDR } from "../../api/networking/v1.ts";
import { type FieldError, invalid, required, spec as specPath } from "../../apimachinery/field-error.ts";
import { pathSegmentProblems } from "../../apimachinery/name-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { familyOf, formatIp, parseCidr, parseIp } from "../../base/ip.ts";
import { age, name, none, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { invalidIpMessage, validCanonicalCidr } from "../validation/ip.ts";
import { each, immutableMessage, obeys, unchanged, validDnsSubdomain } from "../validation/rules.ts";

export const ipAddresses = defineResource<IPAddress>({
  ...served("networking.k8s.io/v1", "ipaddresses"),
  metadataLooks: { update: ["whole", "change"] },
  validateName: (address) => {
    const bytes = parseIp(address);
    if (!bytes) return [invalidIpMessage];
    return formatIp(bytes) === address ? [] : ["must be a canonical format IP address"];
  },
  beforeUpdate() {},
  validate: ({ spec }, previous) => [
    ...validParent(spec),
    ...(previous ? unchanged(spec.parentRef, previous.spec.parentRef, specPath.child("parentRef")) : []),
  ],
  fieldSelectors: { "spec.parentRef.name": ({ spec }) => spec.parentRef?.name ?? "" },
  columns: [
    name,
    text("ParentRef", ({ spec }) => {
      const { group, resource, namespace, name: parent } = spec.parentRef ?? { resource: "", name: "" };
      const kind = group ? `${resource}.${group}` : resource;
      return [kind, ...(namespace ? [namespace] : []), parent].join("/");
    }),
  ],
});

function validParent({ parentRef }: IPAddress["spec"]): FieldError[] {
  const path = specPath.child("parentRef");
  if (!parentRef) return [required(path)];
  const { group, resource, name: parent, namespace } = parentRef;
  const segment = (value: string | undefined, field: string, isRequired: boolean) => {
    if (!value) return isRequired ? [required(path.child(field))] : [];
    return obeys(value, pathSegmentProblems, path.child(field));
  };
  return [
    ...(group ? validDnsSubdomain(group, path.child("group")) : []),
    ...segment(resource, "resource", true),
    ...segment(parent, "name", true),
    ...segment(namespace, "namespace", false),
  ];
}

export const serviceCidrs = defineResource<ServiceCIDR>({
  ...served("networking.k8s.io/v1", "servicecidrs"),
  metadataLooks: { update: ["whole", "change"] },
  statusKeeps: "metadata",
  beforeCreate(range) {
    range.status = {};
  },
  beforeUpdate() {},
  validate: ({ spec }, previous) => [
    ...validRanges(spec.cidrs),
    ...(previous ? validChange(spec.cidrs, previous.spec.cidrs) : []),
  ],
  columns: [name, text("CIDRs", ({ spec }) => spec.cidrs?.join(",") || none), age],
});

function validRanges(cidrs: readonly string[] | undefined): FieldError[] {
  const path = specPath.child("cidrs");
  if (!cidrs?.length) return [required(path, "at least one CIDR required")];
  // The messages show the spec as upstream holds it.
  const shown = { CIDRs: cidrs };
  if (cidrs.length > 2) return [invalid(path, shown, "may only hold up to 2 values")];
  const families = new Set(cidrs.map((text) => parseCidr(text) && familyOf(text)));
  if (cidrs.length === 2 && (families.size === 1 || families.has(undefined))) {
    const detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
    return [invalid(path, shown, detail)];
  }
  return each(cidrs, path, validCanonicalCidr);
}

/** What is there stays; a range of the other family may come to it. */
function validChange(next: readonly string[] | undefined, previous: readonly string[] | undefined): FieldError[] {
  const path = specPath.child("cidrs");
  const [now, before] = [next ?? [], previous ?? []];
  const grows = before.length === 1 && now.length === 2;
  if (now.length !== before.length && !grows) return [invalid(path, next ?? null, immutableMessage)];
  return before.flatMap((block, index) =>
    block === now[index] ? [] : [invalid(path.index(0), now[0], immutableMessage)],
  );
}
