/** Keeps priority and fairness as the API's FlowSchemas and PriorityLevelConfigurations are, and says which schemas dangle. */
import type { FlowSchema } from "../../api/flowcontrol/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { FlowSchemas, PriorityLevelConfigurations } from "../../api/resources.ts";
import { isConflict, isNotFound } from "../../apimachinery/status-error.ts";
import { type Clock, rfc3339 } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Client } from "../../client/client.ts";
import { keyOf, objectKey } from "../../controller-runtime/cache.ts";
import type { InformerCache } from "../../controller-runtime/informer-cache.ts";
import type { PriorityAndFairness } from "./priority-and-fairness.ts";

export interface FlowControlSourceOptions {
  flowControl: PriorityAndFairness;
  cache: InformerCache;
  client: Client;
  clock: Clock;
  log: Logger;
}

export function followFlowControl({ flowControl, cache, client, clock, log }: FlowControlSourceOptions): void {
  const levels = cache.informer(PriorityLevelConfigurations);
  const schemas = cache.informer(FlowSchemas);
  const judge = (schema: DeepReadonly<FlowSchema>): void => {
    const { name } = schema.spec.priorityLevelConfiguration;
    const next = judged(schema, levels.get(objectKey(name)) !== undefined, clock.now());
    if (!next) return;
    client.updateStatus(FlowSchemas, next).catch((error: Error) => {
      // Who was faster, or the schema's end, brings another event.
      if (isConflict(error) || isNotFound(error)) return;
      log.warn("a FlowSchema's status could not be written", { name: schema.metadata.name, error: error.message });
    });
  };
  levels.addHandler(({ type, object }) => {
    if (type === "DELETED") flowControl.deleteLevel(object);
    else flowControl.setLevel(object);
    for (const schema of schemas.list()) {
      if (schema.spec.priorityLevelConfiguration.name === object.metadata.name) judge(schema);
    }
  });
  schemas.addHandler(({ type, object }) => {
    if (type === "DELETED") return flowControl.deleteSchema(object);
    flowControl.setSchema(object);
    // What was there from the start is judged when the levels are known.
    levels.synced.then(() => judge(schemas.get(keyOf(object)) ?? object));
  });
}

/** The schema with the condition that fits it; undefined when it stands there. */
function judged(
  schema: DeepReadonly<FlowSchema>,
  hasLevel: boolean,
  nowMs: number,
): DeepReadonly<FlowSchema> | undefined {
  const status = hasLevel ? "False" : "True";
  const { name } = schema.spec.priorityLevelConfiguration;
  const conditions = schema.status.conditions ?? [];
  const standing = conditions.find(({ type }) => type === "Dangling");
  if (standing?.status === status && standing.message?.includes(`"${name}"`)) return undefined;
  const message = hasLevel
    ? `This FlowSchema references the PriorityLevelConfiguration object named "${name}" and it exists`
    : `This FlowSchema references the PriorityLevelConfiguration object named "${name}" but there is no such object`;
  const condition = {
    type: "Dangling",
    status,
    lastTransitionTime: rfc3339(nowMs),
    reason: hasLevel ? "Found" : "NotFound",
    message,
  };
  return { ...schema, status: { conditions: [...conditions.filter(({ type }) => type !== "Dangling"), condition] } };
}
