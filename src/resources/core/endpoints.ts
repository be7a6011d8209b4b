/** Endpoints: the flat list of a Service addresses that EndpointSlices replaced. */
import type { Endpoints as EndpointsObject } from "../../api/core/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name } from "../printing/columns.ts";
import { served } from "../served.ts";

export const endpoints = defineResource<EndpointsObject>({ ...served("v1", "endpoints"), columns: [name, age] });
