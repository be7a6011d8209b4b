/** Service objects. */
import type { Service } from "../../api/core/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name } from "../printing/columns.ts";
import { served } from "../served.ts";

export const services = defineResource<Service>({ ...served("v1", "services"), columns: [name, age] });
