import { expect, it } from "vitest";
import { FlowSchemas } from "../api/resources.ts";
import { defaultFlowControl } from "../apiserver-plugins/bootstrap/flow-control.ts";
import { flowSchemas } from "../resources/flowcontrol/flow-schema.ts";
import { priorityLevelConfigurations } from "../resources/flowcontrol/priority-level-configuration.ts";
import { problemsOf } from "./problems-of.ts";

it("what a cluster starts with is what its rules demand of it", () => {
  const problems = defaultFlowControl.flatMap(({ resource, object }) =>
    resource === FlowSchemas ? problemsOf(flowSchemas, object) : problemsOf(priorityLevelConfigurations, object),
  );
  expect(problems).toEqual([]);
});
