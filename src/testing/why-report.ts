/** What `pinnace why` says of a test's cluster. */
import { whyCommand } from "../cluster/commands/why.ts";
import type { Report } from "../inspect/report.ts";
import type { TestCluster } from "./cluster-fixture.ts";

/** Not by the command: each would take a process. */
export async function whyReport(
  cluster: TestCluster,
  target: string,
  options: { namespace?: string; from?: string } = {},
): Promise<Report> {
  const before = process.env["PINNACE_HOME"];
  process.env["PINNACE_HOME"] = cluster.home;
  try {
    let printed = "";
    await whyCommand(target, {
      name: cluster.name,
      namespace: "default",
      output: "json",
      print: (text) => (printed = text),
      ...options,
    });
    return JSON.parse(printed) as Report;
  } finally {
    if (before === undefined) delete process.env["PINNACE_HOME"];
    else process.env["PINNACE_HOME"] = before;
  }
}
