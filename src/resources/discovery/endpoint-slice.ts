/** EndpointSlices: the addresses behind a Service, in pieces. */
import type { EndpointSlice } from "../../api/discovery/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name, text, unset } from "../printing/columns.ts";
import { served } from "../served.ts";

const maximumShown = 3;

export const endpointSlices = defineResource<EndpointSlice>({
  ...served("discovery.k8s.io/v1", "endpointslices"),
  allowCreateOnUpdate: true,
  defaults(slice) {
    for (const port of slice.ports ?? []) {
      port.name ??= "";
      port.protocol ??= "TCP";
    }
  },
  columns: [
    name,
    text("AddressType", (slice) => slice.addressType ?? ""),
    text("Ports", (slice) =>
      firstFew((slice.ports ?? []).map(({ port }) => (port === undefined ? "*" : String(port)))),
    ),
    text("Endpoints", (slice) => firstFew((slice.endpoints ?? []).flatMap(({ addresses }) => addresses ?? []))),
    age,
  ],
});

function firstFew(items: readonly string[]): string {
  if (items.length === 0) return unset;
  const shown = items.slice(0, maximumShown).join(",");
  return items.length > maximumShown ? `${shown} + ${items.length - maximumShown} more...` : shown;
}
