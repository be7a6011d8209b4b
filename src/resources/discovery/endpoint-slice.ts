/** EndpointSlices. */
import type { EndpointSlice } from "../../api/discovery/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name } from "../printing/columns.ts";
import { served } from "../served.ts";

export const endpointSlices = defineResource<EndpointSlice>({
  ...served("discovery.k8s.io/v1", "endpointslices"),
  columns: [name, age],
});
