/** Whether a device is what a class or a request asks for, by its CEL expressions. */
import type { DeepReadonly } from "../../api/object.ts";
import type { DeviceSelector } from "../../api/resource/v1.ts";
import type { Compiled } from "../../apimachinery/cel/compile.ts";
import { compileDeviceSelector, deviceVariables } from "../../apimachinery/cel/device-environment.ts";
import { AllocationError } from "./allocation-error.ts";
import type { Candidate } from "./pools.ts";

const maximumPrograms = 1000;
const programs = new Map<string, Compiled>();
/** Devices do not change, only their slices are replaced. */
const verdicts = new WeakMap<object, Map<string, boolean>>();

/** Throws an AllocationError for an expression that fails; `owner` says whose it is: `class gpu`, `claim default/c`. */
export function matchesSelectors(
  selectors: readonly DeepReadonly<DeviceSelector>[] | undefined,
  candidate: Candidate,
  owner: string,
): boolean {
  return (selectors ?? []).every(({ cel }, index) => {
    if (!cel)
      throw new AllocationError(`${owner}, selector #${index}: CEL expression empty (unsupported selector type?)`);
    return matches(cel.expression, candidate, `${owner}: selector #${index}`);
  });
}

function matches(expression: string, { id, driver, device }: Candidate, place: string): boolean {
  let known = verdicts.get(device);
  const verdict = known?.get(expression);
  if (verdict !== undefined) return verdict;
  const { program, message } = compiled(expression) as Compiled & { message?: string };
  if (!program) throw new AllocationError(`${place}: CEL compile error: compilation failed: ${message}`);
  let value: unknown;
  try {
    ({ value } = program.evaluate(deviceVariables(driver, device)));
  } catch (error) {
    throw new AllocationError(`${place} on device ${id}: CEL runtime error: ${(error as Error).message}`);
  }
  if (typeof value !== "boolean")
    throw new AllocationError(`${place} on device ${id}: CEL runtime error: must evaluate to bool`);
  if (!known) verdicts.set(device, (known = new Map()));
  known.set(expression, value);
  return value;
}

function compiled(expression: string): Compiled {
  let program = programs.get(expression);
  if (!program) {
    if (programs.size >= maximumPrograms) programs.clear();
    programs.set(expression, (program = compileDeviceSelector(expression)));
  }
  return program;
}
