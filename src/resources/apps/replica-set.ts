/** ReplicaSets. */
import type { ReplicaSet } from "../../api/apps/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name } from "../printing/columns.ts";
import { served } from "../served.ts";

export const replicaSets = defineResource<ReplicaSet>({ ...served("apps/v1", "replicasets"), columns: [name, age] });
