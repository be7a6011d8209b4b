/** Deployments. */
import type { Deployment } from "../../api/apps/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name } from "../printing/columns.ts";
import { served } from "../served.ts";

export const deployments = defineResource<Deployment>({ ...served("apps/v1", "deployments"), columns: [name, age] });
