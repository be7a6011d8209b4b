/** A Service's clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy must agree. The allocator checks this before it allocates, validation after. */
import type { Service } from "../../api/core/v1.ts";
import { duplicate, type FieldError, invalid, required, spec as specPath } from "../../apimachinery/field-error.ts";
import { ipFamilyOf, validIp } from "../validation/ip.ts";
import { each, oneOf, optionalOneOf } from "../validation/rules.ts";
import { headlessAddress, isHeadless } from "./service-needs.ts";

const addressesPath = specPath.child("clusterIPs");
const familiesPath = specPath.child("ipFamilies");
const policyPath = specPath.child("ipFamilyPolicy");

export function validClusterIpFields(service: Service): FieldError[] {
  const { spec } = service;
  if (spec.type === "ExternalName") return [];
  const addresses = spec.clusterIPs ?? [];
  const errors: FieldError[] = [];
  if (spec.clusterIP) {
    if (addresses.length === 0) errors.push(required(addressesPath));
    else if (addresses[0] !== spec.clusterIP) {
      errors.push(invalid(addressesPath, addresses, "first value must match `clusterIP`"));
    }
  } else if (addresses.length > 0) {
    errors.push(invalid(addressesPath, addresses, "must be empty when `clusterIP` is not specified"));
  }
  const families = new Set<string>();
  errors.push(
    ...each(spec.ipFamilies, familiesPath, (family, at) => {
      const found = oneOf(family, ["IPv4", "IPv6"], at);
      if (families.has(family)) found.push(duplicate(at, family));
      families.add(family);
      return found;
    }),
  );
  errors.push(
    ...optionalOneOf(spec.ipFamilyPolicy, ["PreferDualStack", "RequireDualStack", "SingleStack"], policyPath),
  );
  const badAddresses = validAddresses(addresses);
  errors.push(...badAddresses);
  if (addresses.length > 2) errors.push(invalid(addressesPath, addresses, "may only hold up to 2 values"));
  // Wrong addresses would make every later complaint misleading.
  return badAddresses.length > 0 ? errors : [...errors, ...matchingFamilies(service, addresses)];
}

function validAddresses(addresses: readonly string[]): FieldError[] {
  return each(addresses, addressesPath, (address, at, index) => {
    if (index > 0 || address !== headlessAddress) return validIp(address, at);
    return addresses.length > 1 ? [invalid(addressesPath, addresses, "'None' must be the first and only value")] : [];
  });
}

function matchingFamilies(service: Service, addresses: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  if (addresses.length > 1 && new Set(addresses.map(ipFamilyOf)).size !== 2) {
    errors.push(invalid(addressesPath, addresses, "may specify no more than one IP for each IP family"));
  }
  if (isHeadless(service)) return errors;
  for (const [index, address] of addresses.entries()) {
    const family = service.spec.ipFamilies?.[index];
    if ((family === "IPv4" || family === "IPv6") && ipFamilyOf(address) !== family) {
      const detail = `expected an ${family} value as indicated by \`ipFamilies[${index}]\``;
      errors.push(invalid(addressesPath.index(index), address, detail));
    }
  }
  return errors;
}
