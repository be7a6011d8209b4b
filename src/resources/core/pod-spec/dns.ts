/** How names are resolved inside a pod. */
import type { PodSpec } from "../../../api/core/v1.ts";
import { type FieldError, type FieldPath, invalid, required } from "../../../apimachinery/field-error.ts";
import { validIp } from "../../validation/ip.ts";
import { each, requiredOneOf, validDnsSubdomain } from "../../validation/rules.ts";

const maximumNameservers = 3;
const maximumSearches = 32;
const maximumSearchLength = 2048;

export function validDnsPolicy(policy: string | undefined, path: FieldPath): FieldError[] {
  return requiredOneOf(policy, ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"], path);
}

export function validDnsConfig({ dnsConfig, dnsPolicy }: PodSpec, path: FieldPath): FieldError[] {
  if (dnsPolicy === "None") {
    if (!dnsConfig) return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")];
    if (!dnsConfig.nameservers?.length) {
      const detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
      return [required(path.child("nameservers"), detail)];
    }
  }
  if (!dnsConfig) return [];
  const { nameservers = [], searches = [], options = [] } = dnsConfig;
  const errors: FieldError[] = [];
  const nameserversPath = path.child("nameservers");
  if (nameservers.length > maximumNameservers) {
    errors.push(invalid(nameserversPath, nameservers, `must not have more than ${maximumNameservers} nameservers`));
  }
  errors.push(...each(nameservers, nameserversPath, validIp));
  const searchesPath = path.child("searches");
  if (searches.length > maximumSearches) {
    errors.push(invalid(searchesPath, searches, `must not have more than ${maximumSearches} search paths`));
  }
  if (searches.join(" ").length > maximumSearchLength) {
    const detail = `must not have more than ${maximumSearchLength} characters (including spaces) in the search list`;
    errors.push(invalid(searchesPath, searches, detail));
  }
  errors.push(...each(searches, searchesPath, validSearch));
  return [
    ...errors,
    ...each(options, path.child("options"), ({ name }, at) => (name ? [] : [required(at, "must not be empty")])),
  ];
}

/** A trailing dot and underscores are fine here, and so is a lone dot. */
function validSearch(search: string, path: FieldPath): FieldError[] {
  if (search === ".") return [];
  const name = search.replace(/\.$/, "");
  return validDnsSubdomain(name.replaceAll("_", "a"), path).map((error) => ({
    ...error,
    message: error.message.replace(JSON.stringify(name.replaceAll("_", "a")), JSON.stringify(name)),
  }));
}

export function validHostAliases(aliases: PodSpec["hostAliases"], path: FieldPath): FieldError[] {
  return each(aliases, path, ({ ip, hostnames }, at) => [
    ...validIp(ip, at.child("ip")),
    ...each(hostnames, at.child("hostnames"), validDnsSubdomain),
  ]);
}
