/** /livez, /readyz and /healthz: named checks, one by one or all together, as upstream words them. */
import { exposition } from "../base/exposition.ts";

export interface HealthCheck {
  /** Such as `etcd`, `ping`, `poststarthook/start-apiextensions-controllers`. */
  name: string;
  /** Rejects or throws when unhealthy. */
  check(): void | Promise<void>;
  /** Asked by /readyz alone: its failure is no reason to restart the server. */
  isOfReadiness?: boolean;
}

/** Upstream's start-up hooks as checks: each fails until what it names has come about. */
export class StartUpChecks {
  readonly checks: readonly HealthCheck[];
  readonly #pending: Set<string>;

  constructor(names: readonly string[]) {
    this.#pending = new Set(names);
    this.checks = names.map((name) => ({
      name,
      isOfReadiness: !name.startsWith("poststarthook/"),
      check: () => {
        if (this.#pending.has(name)) throw new Error(`${name} is not done`);
      },
    }));
  }

  /** The checks of these names pass from now on. Throws for a name that there is no check of. */
  pass(...names: readonly string[]): void {
    for (const name of names) {
      if (!this.checks.some((check) => check.name === name)) throw new Error(`there is no check ${name}`);
      this.#pending.delete(name);
    }
  }
}

/** Each check as 1 when it passes and 0 when it fails, for service levels (KEP-3466). */
export async function healthMetrics(checks: readonly HealthCheck[]): Promise<string> {
  const samples = await Promise.all(
    checks.flatMap(({ name, check, isOfReadiness }) => {
      const passes = Promise.resolve()
        .then(check)
        .then(
          () => 1,
          () => 0,
        );
      const types = isOfReadiness ? ["readyz"] : ["healthz", "livez", "readyz"];
      return types.map(async (type) => ({ labels: { name, type }, value: await passes }));
    }),
  );
  return exposition([{ name: "kubernetes_healthcheck", help: "Which checks pass.", type: "gauge", samples }]);
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
