/** What is wrong with a scheduler's extenders: each mistake with its place, and with what would be right. Pure. */
import { parseDuration } from "../apimachinery/cel/time.ts";
import type { ExtenderConfig } from "./extender.ts";
import type { ProfileMistake } from "./profile-mistakes.ts";

/** Empty when all is well. Paths stand below `extenders`. What the configuration's schema says is taken for granted. */
export function extenderMistakes(extenders: readonly ExtenderConfig[]): ProfileMistake[] {
  const mistakes: ProfileMistake[] = [];
  const managedBy = new Map<string, number>();
  let binder: number | undefined;
  for (const [i, extender] of extenders.entries()) {
    const { urlPrefix, prioritizeVerb, weight, bindVerb, httpTimeout, tlsConfig, managedResources = [] } = extender;
    const add = (path: readonly (string | number)[], message: string) => mistakes.push({ path: [i, ...path], message });
    if (!/^https?:\/\//.test(urlPrefix) || !URL.canParse(urlPrefix))
      add(["urlPrefix"], `${JSON.stringify(urlPrefix)} must be a URL that begins with http:// or https://`);
    if (prioritizeVerb && !(weight !== undefined && weight > 0))
      add(["weight"], "must be a positive number where there is a prioritizeVerb");
    if (bindVerb) {
      if (binder === undefined) binder = i;
      else add(["bindVerb"], `only one extender may bind pods, and extenders[${binder}] does`);
    }
    if (httpTimeout !== undefined && !((parseDuration(httpTimeout) ?? 0n) > 0n))
      add(["httpTimeout"], `${JSON.stringify(httpTimeout)} must be a duration such as "5s"`);
    if ((tlsConfig?.certData || tlsConfig?.certFile) && !(tlsConfig.keyData || tlsConfig.keyFile))
      add(["tlsConfig"], "a certificate needs its key: keyData or keyFile");
    for (const [j, { name }] of managedResources.entries()) {
      const first = managedBy.get(name);
      if (!/^[a-z0-9.-]+\/[A-Za-z0-9._-]+$/.test(name) || name.startsWith("kubernetes.io/"))
        add(
          ["managedResources", j, "name"],
          `${JSON.stringify(name)} must be an extended resource such as "example.com/gpu"`,
        );
      else if (first !== undefined)
        add(["managedResources", j, "name"], `"${name}" is already managed by extenders[${first}]`);
      else managedBy.set(name, i);
    }
  }
  return mistakes;
}
