/** The pod template that workloads carry. */
import type { PodTemplateSpec } from "../../../api/core/v1.ts";
import { defaultPodSpec } from "./defaults.ts";

export function defaultPodTemplate(template: PodTemplateSpec | undefined | null): void {
  if (!template) return;
  template.metadata ??= {};
  template.spec ??= { containers: [] };
  defaultPodSpec(template.spec);
}
