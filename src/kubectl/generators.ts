/** The objects that verbs make from flags (kubectl's generators). Pure. */
import { quantityProblem } from "../apimachinery/quantity.ts";
import type { Unstructured } from "./api.ts";
import { CommandError } from "./command-error.ts";
import { cut } from "./flags.ts";

/** `a=1,b=2`; a value may be empty. */
export function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const part of text.split(",").filter(Boolean)) {
    const [key, value] = cut(part, "=");
    if (value === undefined || !key) throw new CommandError(`unexpected label spec: ${part}`);
    labels[key] = value;
  }
  return labels;
}

/** `5678:8080` or `80`, as `create service` and `--tcp` have them. */
export function servicePort(text: string): Record<string, unknown> {
  const [port = "", targetPort = port] = text.split(":");
  if (!/^\d+$/.test(port)) throw new CommandError(`strconv.ParseUint: parsing ${JSON.stringify(port)}: invalid syntax`);
  if (Number(port) > 65_535) {
    throw new CommandError(`strconv.ParseUint: parsing ${JSON.stringify(port)}: value out of range`);
  }
  const target = /^\d+$/.test(targetPort) ? Number(targetPort) : targetPort;
  return { name: text.replaceAll(":", "-"), port: Number(port), protocol: "TCP", targetPort: target };
}

/** `KEY=value` pairs of `--env`, as container environment. */
export function environmentOf(pairs: readonly string[]): { name: string; value: string }[] {
  return pairs.map((pair) => {
    const [name, value] = cut(pair, "=");
    if (!name || value === undefined) throw new CommandError(`invalid env: ${pair}`);
    return { name, value };
  });
}

/** `cpu=100m,memory=1Gi` */
export function resourceList(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split(",")
      .filter(Boolean)
      .map((part) => {
        const [name, quantity] = cut(part, "=");
        if (!quantity) throw new CommandError(`Invalid argument syntax ${part}, expected <resource>=<value>`);
        const problem = quantityProblem(quantity);
        if (problem) throw new CommandError(problem);
        return [name, quantity];
      }),
  );
}

/** The name of an image without registry, tag and digest: what its container is called. */
export function containerNameOf(image: string): string {
  const last = image.split("/").at(-1)!;
  return last
    .split("@")[0]!
    .split(":")[0]!
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, "-");
}

export function podTemplate(labels: Record<string, string>, spec: Record<string, unknown>) {
  return { metadata: { labels }, spec };
}

/** An object's head. */
export function objectOf(apiVersion: string, kind: string, name: string, more: Record<string, unknown>): Unstructured {
  return { apiVersion, kind, metadata: { name }, ...more };
}
