/** postStart and preStop: run once, their failures told in upstream's words. */
import type { LifecycleHandler } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { sleep } from "../base/clock.ts";
import type { ActionTarget, RunAction } from "./probes/action.ts";

/** Undefined when the hook succeeded, else what it said. Ends early, as a failure, when the signal fires. */
export async function runHook(
  handler: DeepReadonly<LifecycleHandler>,
  target: ActionTarget,
  runAction: RunAction,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (handler.sleep) {
    try {
      await sleep(target.clock, Number(handler.sleep.seconds) * 1000, signal);
      return undefined;
    } catch {
      return "container terminated before sleep hook finished";
    }
  }
  const result = await runAction(handler, target, 0, signal);
  if (result.kind === "success" || result.kind === "warning") return undefined;
  const said = result.kind === "failure" ? result.output : result.error;
  if (!handler.exec) return said;
  return `Exec lifecycle hook (${JSON.stringify(handler.exec.command ?? [])}) failed: ${said}`;
}
