/** Pods. */
import type { Pod } from "../../api/core/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name } from "../printing/columns.ts";
import { served } from "../served.ts";

export const pods = defineResource<Pod>({ ...served("v1", "pods"), columns: [name, age] });
