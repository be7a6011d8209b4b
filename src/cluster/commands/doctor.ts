/** `pinnace doctor`: checks each prerequisite and prints the exact line that provides it. */
import { checkPrerequisites, missing } from "../prerequisites.ts";

/** Resolves to the process's exit code: 0 when nodes with real containers can run here. */
export async function doctor(print: (line: string) => void): Promise<number> {
  const prerequisites = checkPrerequisites();
  for (const item of prerequisites) {
    const mark = item.present ? "✓" : "✗";
    print(`${mark} ${item.name.padEnd(20)} ${item.purpose}${item.found ? ` (${item.found})` : ""}`);
    if (!item.present && item.remedy) print(`    → ${item.remedy}`);
  }
  const lacking = missing(prerequisites);
  print("");
  if (lacking.length === 0) {
    print("This machine can run nodes with real containers.");
    return 0;
  }
  print(
    `Until ${lacking.map((item) => item.name).join(", ")} ${lacking.length === 1 ? "is" : "are"} there, nodes are simulated.`,
  );
  return 1;
}
