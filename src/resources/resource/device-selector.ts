/** CEL expressions that choose devices: compiled when they are written, so that their mistakes are found then (upstream: dynamic-resource-allocation/cel). */
import { compile } from "../../apimachinery/cel/compile.ts";
import type { Environment } from "../../apimachinery/cel/environment.ts";
import { kubernetesEnvironment } from "../../apimachinery/cel/kubernetes-environment.ts";
import { Bool, Dyn, mapOf, objectOf, opaque, Text, typeName } from "../../apimachinery/cel/types.ts";

let environment: Environment | undefined;

/** Attributes may be of any type; domains and names are looked up by index. */
function deviceEnvironment(): Environment {
  environment ??= kubernetesEnvironment({
    variables: {
      device: objectOf("kubernetes.DRADevice", {
        driver: Text,
        attributes: mapOf(Text, mapOf(Text, Dyn)),
        capacity: mapOf(Text, mapOf(Text, opaque("kubernetes.Quantity"))),
        allowMultipleAllocations: Bool,
      }),
    },
  });
  return environment;
}

/** What is wrong with an expression, in upstream's words; undefined when nothing is. */
export function deviceSelectorProblem(expression: string): string | undefined {
  // Upstream switches on CEL's bindings here alone; the compiler has none.
  if (/\bcel\.bind\(/.test(expression)) return undefined;
  const { program, message } = compile(expression, deviceEnvironment()) as ReturnType<typeof compile> & {
    message?: string;
  };
  if (!program) return `compilation failed: ${message}`;
  const { kind } = program.type;
  if (kind === "bool" || kind === "dyn") return undefined;
  return `must evaluate to bool or the unknown type, not ${typeName(program.type)}`;
}
