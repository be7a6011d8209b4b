/** ComponentStatuses: a kind that upstream keeps for old clients. This server has none to list. */
import type { ComponentStatus } from "../../api/core/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { name, text } from "../printing/columns.ts";
import { served } from "../served.ts";

export const componentStatuses = defineResource<ComponentStatus>({
  ...served("v1", "componentstatuses"),
  deprecationWarning: "v1 ComponentStatus is deprecated in v1.19+",
  columns: [
    name,
    text("Status", ({ conditions }) => (conditions?.[0]?.status === "True" ? "Healthy" : "Unhealthy")),
    text("Message", ({ conditions }) => conditions?.[0]?.message ?? ""),
    text("Error", ({ conditions }) => conditions?.[0]?.error ?? ""),
  ],
});
