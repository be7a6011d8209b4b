/** Where nobody need prove anything (KEP-4633). */
import type { AuthenticationConfiguration } from "./authentication-configuration.ts";

/** Whether a path may be asked for without proof; undefined when every path may, which is the default. */
export function anonymousPaths({
  anonymous,
}: Partial<AuthenticationConfiguration> = {}): ((path: string) => boolean) | undefined {
  if (!anonymous) return undefined;
  if (!anonymous.enabled) return () => false;
  if (!anonymous.conditions?.length) return undefined;
  const paths = new Set(anonymous.conditions.map(({ path }) => path));
  return (path) => paths.has(path);
}
