/** ComponentStatuses: how the parts of the control plane fare. Deprecated since v1.19, and still what `kubectl get cs` asks for. */
import type { ComponentStatus } from "../../api/core/v1.ts";
import type { KubeObject } from "../../api/object.ts";
import type { Column } from "../../apimachinery/resource-definition.ts";
import { notFoundError } from "../../apimachinery/status-error.ts";
import type { VirtualResource } from "../../apiserver/virtual-resource.ts";

/** Resolves with what to show of a healthy component; rejects when it is not. */
export type ComponentCheck = () => string | Promise<string>;

export function componentStatuses(checks: Readonly<Record<string, ComponentCheck>>): VirtualResource {
  const statusOf = async (name: string): Promise<Omit<ComponentStatus, "metadata"> & { metadata: object }> => {
    const condition = await healthOf(checks[name]!);
    return {
      kind: "ComponentStatus",
      apiVersion: "v1",
      metadata: { name },
      conditions: [{ type: "Healthy", ...condition }],
    };
  };
  return {
    definition: {
      group: "",
      version: "v1",
      kind: "ComponentStatus",
      listKind: "ComponentStatusList",
      plural: "componentstatuses",
      singular: "componentstatus",
      shortNames: ["cs"],
      scope: "Cluster",
      verbs: ["get", "list"],
      deprecationWarning: "v1 ComponentStatus is deprecated in v1.19+",
      columns: [
        column("Name", (status) => status.metadata.name, "name"),
        column("Status", (status) => (healthy(status)?.status === "True" ? "Healthy" : "Unhealthy")),
        column("Message", (status) => healthy(status)?.message ?? ""),
        column("Error", (status) => healthy(status)?.error ?? ""),
      ],
    },
    async get({ name }) {
      if (!Object.hasOwn(checks, name)) throw notFoundError({ group: "", resource: "componentstatuses" }, name);
      return statusOf(name);
    },
    list: () => Promise.all(Object.keys(checks).sort().map(statusOf)),
  };
}

function column(name: string, cell: (status: ComponentStatus) => string, format = ""): Column<KubeObject> {
  // The one kind that these rows are made of.
  return { name, type: "string", format, cell: (object) => cell(object as unknown as ComponentStatus) };
}

function healthy({ conditions }: ComponentStatus) {
  return conditions?.find(({ type }) => type === "Healthy");
}

async function healthOf(check: ComponentCheck): Promise<{ status: string; message: string; error?: string }> {
  try {
    return { status: "True", message: await check() };
  } catch (error) {
    return { status: "False", message: "", error: error instanceof Error ? error.message : String(error) };
  }
}
