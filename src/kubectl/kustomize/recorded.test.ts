/** Kustomizations against what kubectl 1.36 makes of them: `recorded.txt` holds each one's files, and the output and errors of that kubectl. */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { encodeYaml } from "../../apimachinery/serializer/yaml.ts";
import { CommandError } from "../command-error.ts";
import { fetchOnce } from "../download.ts";
import { sortKeys } from "../printers/printable.ts";
import { buildKustomization } from "./build.ts";

interface Recorded {
  name: string;
  args: string[];
  files: Readonly<Record<string, string>>;
  output: string;
  errors: string;
}

/** `== name`, the arguments, and then `-- file --` with its content, again and again. */
function recordings(): Recorded[] {
  const text = readFileSync(new URL("recorded.txt", import.meta.url), "utf8");
  return text
    .split(/^== /m)
    .slice(1)
    .map((block) => {
      const [head = "", ...parts] = block.split(/^-- (.*) --\n/m);
      const [name = "", args = ""] = head.split("\n");
      const sections = Object.fromEntries(
        parts.flatMap((part, i) => (i % 2 === 0 ? [[part, parts[i + 1] ?? ""]] : [])),
      );
      const { "(output)": output = "", "(errors)": errors = "", ...files } = sections as Record<string, string>;
      return { name, args: args.split(" ").filter(Boolean), files: files as Record<string, string>, output, errors };
    });
}

const root = realpathSync(mkdtempSync(join(tmpdir(), "pnt-kustomize-")));
const startedIn = process.cwd();
afterAll(() => {
  process.chdir(startedIn);
  rmSync(root, { recursive: true, force: true });
});

test.each(recordings().map((each, i) => [each.name, each, i] as const))("%s", async (_name, recorded, i) => {
  const folder = join(root, String(i));
  mkdirSync(folder);
  for (const [file, text] of Object.entries(recorded.files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  process.chdir(folder);
  const [first = ".", value, last = "."] = recorded.args;
  const isOption = first === "--load-restrictor";
  let [output, errors] = ["", ""];
  try {
    const objects = await buildKustomization(isOption ? last : first, {
      readsAnywhere: isOption && value === "LoadRestrictionsNone",
      helm: false,
      warn: (line) => {
        errors += line;
      },
      log: (message) => {
        errors += `${message}\n`;
      },
      fetch: (url) => fetchOnce(url, { signal: new AbortController().signal }),
    });
    output = objects.map((object) => encodeYaml(sortKeys(object))).join("---\n");
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    errors += `error: ${error.message}${error.message.endsWith("\n") ? "" : "\n"}`;
  }
  expect(output).toBe(recorded.output);
  expect(errors.replaceAll(folder, "$DIR").replaceAll(root, "$UP")).toBe(recorded.errors);
});
