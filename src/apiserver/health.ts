/** /livez, /readyz and /healthz: named checks, one by one or all together, as upstream words them. */

export interface HealthCheck {
  /** Such as `etcd`, `ping`, `poststarthook/start-apiextensions-controllers`. */
  name: string;
  /** Rejects or throws when unhealthy. */
  check(): void | Promise<void>;
}

export interface HealthAnswer {
  code: number;
  text: string;
}

/** The report of all checks but the excluded ones. `endpoint` is `healthz`, `livez` or `readyz`. */
export async function runChecks(
  endpoint: string,
  checks: readonly HealthCheck[],
  verbose: boolean,
  excluded: readonly string[],
): Promise<HealthAnswer> {
  let report = "";
  let failed = false;
  for (const { name, check } of checks) {
    if (excluded.includes(name)) {
      report += `[+]${name} excluded: ok\n`;
      continue;
    }
    try {
      await check();
      report += `[+]${name} ok\n`;
    } catch {
      // The reason is for the log, not for everyone who can reach the port.
      report += `[-]${name} failed: reason withheld\n`;
      failed = true;
    }
  }
  const unknown = excluded.filter((name) => !checks.some((check) => check.name === name));
  if (unknown.length > 0) {
    report += `warn: some health checks cannot be excluded: no matches for ${unknown.map((name) => JSON.stringify(name)).join(",")}\n`;
  }
  if (failed) return { code: 500, text: `${report}${endpoint} check failed\n` };
  return { code: 200, text: verbose ? `${report}${endpoint} check passed\n` : "ok" };
}
