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
export const labelPrefix = "pod-security.kubernetes.io/";

export interface LabelProblem {
  label: string;
  value: string;
  message: string;
}

type Labels = Readonly<Record<string, string>> | undefined;

/** What cannot be understood is reported; meanwhile it counts as restricted where pods are refused, and says nothing where they are only told of. */
export function policyOf(labels: Labels, defaults: Policy): { policy: Policy; problems: LabelProblem[] } {
  const problems: LabelProblem[] = [];
  const policy = { ...defaults };
  for (const mode of modes) {
    const level = labels?.[labelPrefix + mode];
    const version = labels?.[`${labelPrefix}${mode}-version`];
    if (level === undefined && version === undefined) continue;
    const next = { ...policy[mode] };
    if (level !== undefined) {
      const known = levels.find((one) => one === level);
      if (!known)
        problems.push({
          label: labelPrefix + mode,
          value: level,
          message: "must be one of privileged, baseline, restricted",
        });
      next.level = known ?? (mode === "enforce" ? "restricted" : "privileged");
    }
    if (version !== undefined) {
      const match = versionPattern.exec(version);
      if (!match)
        problems.push({
          label: `${labelPrefix}${mode}-version`,
          value: version,
          message: 'must be "latest" or "v1.x"',
        });
      next.minor = match?.[1] === undefined ? undefined : Number(match[1]);
    }
    policy[mode] = next;
  }
  return { policy, problems };
}

const versionPattern = /^(?:latest|v1\.(0|[1-9]\d*))$/;

export const privileged: LevelVersion = { level: "privileged", minor: undefined };

export function levelText({ level, minor }: LevelVersion): string {
  return `${level}:${minor === undefined ? "latest" : `v1.${minor}`}`;
}

/** Whether going from `before` to `after` may make pods violate that did not before. */
export function isTightened(before: LevelVersion, after: LevelVersion): boolean {
  if (after.level === "privileged" || levelText(before) === levelText(after)) return false;
  return before.minor !== after.minor || levels.indexOf(after.level) > levels.indexOf(before.level);
}
