/** Levels and versions of the Pod Security Standards, as namespaces' labels choose them. */

export type Level = "privileged" | "baseline" | "restricted";

export interface LevelVersion {
  level: Level;
  /** The minor version 1.x whose rules hold; undefined for the latest. */
  minor: number | undefined;
}

export interface Policy {
  enforce: LevelVersion;
  audit: LevelVersion;
  warn: LevelVersion;
}

export type Mode = keyof Policy;
export const modes: readonly Mode[] = ["enforce", "audit", "warn"];

const levels: readonly Level[] = ["privileged", "baseline", "restricted"];
const prefix = "pod-security.kubernetes.io/";

export interface LabelProblem {
  label: string;
  value: string;
  message: string;
}

type Labels = Readonly<Record<string, string>> | undefined;

/** What cannot be understood counts as restricted, and is reported. */
export function policyOf(labels: Labels, defaults: Policy): { policy: Policy; problems: LabelProblem[] } {
  const problems: LabelProblem[] = [];
  const policy = { ...defaults };
  for (const mode of modes) {
    const level = labels?.[prefix + mode];
    const version = labels?.[`${prefix}${mode}-version`];
    if (level === undefined && version === undefined) continue;
    const next = { ...policy[mode] };
    if (level !== undefined) {
      const known = levels.find((one) => one === level);
      if (!known)
        problems.push({
          label: prefix + mode,
          value: level,
          message: "must be one of privileged, baseline, restricted",
        });
      next.level = known ?? "restricted";
    }
    if (version !== undefined) {
      const match = /^(?:latest|v1\.(\d+))$/.exec(version);
      if (!match)
        problems.push({ label: `${prefix}${mode}-version`, value: version, message: 'must be "latest" or "v1.x"' });
      next.minor = match?.[1] === undefined ? undefined : Number(match[1]);
    }
    policy[mode] = next;
  }
  return { policy, problems };
}

export const privileged: LevelVersion = { level: "privileged", minor: undefined };

export function levelText({ level, minor }: LevelVersion): string {
  return `${level}:${minor === undefined ? "latest" : `v1.${minor}`}`;
}

/** Whether going from `before` to `after` may make pods violate that did not before. */
export function isTightened(before: LevelVersion, after: LevelVersion): boolean {
  if (after.level === "privileged") return false;
  return levels.indexOf(after.level) > levels.indexOf(before.level) || levelText(before) !== levelText(after);
}
