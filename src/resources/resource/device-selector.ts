/** CEL expressions that choose devices: compiled when they are written, so that their mistakes are found then (upstream: dynamic-resource-allocation/cel). */
import { compileDeviceSelector } from "../../apimachinery/cel/device-environment.ts";
import { typeName } from "../../apimachinery/cel/types.ts";

/** What is wrong with an expression, in upstream's words; undefined when nothing is. */
export function deviceSelectorProblem(expression: string): string | undefined {
  // Upstream switches on CEL's bindings here alone; the compiler has none.
  if (/\bcel\.bind\(/.test(expression)) return undefined;
  const { program, message } = compileDeviceSelector(expression) as ReturnType<typeof compileDeviceSelector> & {
    message?: string;
  };
  if (!program) return `compilation failed: ${message}`;
  const { kind } = program.type;
  if (kind === "bool" || kind === "dyn") return undefined;
  return `must evaluate to bool or the unknown type, not ${typeName(program.type)}`;
}
