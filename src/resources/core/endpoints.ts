/** Endpoints: the flat list of a Service's addresses, from before EndpointSlices. */
import type { Endpoints as EndpointsObject } from "../../api/core/v1.ts";
import { FieldPath } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name, none, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { ipWarnings } from "../validation/ip.ts";
import { validateEndpoints } from "./endpoints-validation.ts";

const maximumShown = 3;
const subsetsPath = FieldPath.root.child("subsets");

export const endpoints = defineResource<EndpointsObject>({
  ...served("v1", "endpoints"),
  metadataLooks: { update: ["change", "whole"] },
  allowCreateOnUpdate: true,
  defaults(object) {
    for (const subset of object.subsets ?? []) for (const port of subset.ports ?? []) port.protocol ||= "TCP";
  },
  validate: validateEndpoints,
  warnings: ({ subsets }) =>
    (subsets ?? []).flatMap((subset, index) =>
      (["addresses", "notReadyAddresses"] as const).flatMap((list) =>
        (subset[list] ?? []).flatMap(({ ip }, place) =>
          ipWarnings(ip, subsetsPath.index(index).child(list).index(place).child("ip")),
        ),
      ),
    ),
  deprecationWarning: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
  columns: [name, text("Endpoints", addressesText), age],
});

function addressesText(object: EndpointsObject): string {
  const all = (object.subsets ?? []).flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0
      ? addresses.map(({ ip }) => ip)
      : ports.flatMap(({ port }) => addresses.map(({ ip }) => hostPort(ip, port))),
  );
  if (!object.subsets?.length) return none;
  const shown = all.slice(0, maximumShown).join(",");
  return all.length > maximumShown ? `${shown} + ${all.length - maximumShown} more...` : shown;
}

function hostPort(ip: string, port: number): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}
