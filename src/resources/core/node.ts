/** Node objects. */
import type { Node } from "../../api/core/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name } from "../printing/columns.ts";
import { served } from "../served.ts";

export const nodes = defineResource<Node>({ ...served("v1", "nodes"), columns: [name, age] });
