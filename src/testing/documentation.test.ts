/** The documents' links, and that every command is described. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { complaintAbout } from "../cluster/cli.ts";

describe("the documentation site", () => {
  let site: string;
  beforeAll(() => {
    site = mkdtempSync(join(tmpdir(), "pinnace-site-"));
    execFileSync(process.execPath, ["scripts/docs.mjs", site]);
  }, 60_000);
  afterAll(() => rmSync(site, { recursive: true, force: true }));

  test("has a page for every document, and no link that leads nowhere", () => {
    const files = (readdirSync(site, { recursive: true }) as string[]).filter((file) => file.endsWith(".html"));
    expect(files).toContain("index.html");
    expect(files).toContain("configuration.html");
    expect(files).toContain("labs/ko/cluster-ip.html");
    const broken: string[] = [];
    for (const file of files) {
      const html = readFileSync(join(site, file), "utf8");
      for (const [, href = ""] of html.matchAll(/href="([^"]+)"/g)) {
        if (/^[a-z]+:/.test(href)) continue;
        const [path = "", anchor] = href.split("#");
        const target = path === "" ? join(site, file) : join(site, dirname(file), path);
        const isThere =
          existsSync(target) && (anchor === undefined || readFileSync(target, "utf8").includes(`id="${anchor}"`));
        if (!isThere) broken.push(`${file}: ${href}`);
      }
    }
    expect(broken).toEqual([]);
  });
});

test("links between the repository's documents lead to files", () => {
  const documents = [
    ...["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "DEPENDENCIES.md", "CHANGELOG.md"],
    ...(readdirSync("docs", { recursive: true }) as string[])
      .filter((file) => file.endsWith(".md"))
      .map((file) => join("docs", file)),
  ];
  const broken = documents.flatMap((document) => {
    const text = readFileSync(document, "utf8").replace(/^```.*?^```$/gms, "");
    return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, href = ""]) => {
      if (/^[a-z]+:|^#/.test(href)) return [];
      const target = join(dirname(document), href.split("#")[0] ?? "");
      return existsSync(target) ? [] : [`${document}: ${relative(".", target)}`];
    });
  });
  expect(broken).toEqual([]);
});

test("every command of pinnace is described with an example or a sentence", () => {
  const cli = readFileSync("src/cluster/cli.ts", "utf8");
  const commands = [...cli.matchAll(/program\s*\.command\("([a-z-]+)[^"]*"(, \{ hidden)?/g)].filter(
    ([, , hidden]) => !hidden,
  );
  const described = readFileSync("docs/commands.md", "utf8");
  expect(commands.map(([, name]) => name).filter((name) => !described.includes(`## pinnace ${name}\n`))).toEqual([]);
});

test("every pinnace command line in the documents is one that the command takes", async () => {
  const documents = [
    "README.md",
    "CONTRIBUTING.md",
    ...(readdirSync("docs", { recursive: true }) as string[])
      .filter((file) => file.endsWith(".md"))
      .map((file) => join("docs", file)),
  ];
  const refused: string[] = [];
  let count = 0;
  for (const document of documents)
    for (const line of readFileSync(document, "utf8").split("\n")) {
      // A line of a code block: indented, or after a prompt. kubectl takes its arguments itself.
      const [, command = ""] = /^(?: {4}|\$ )(?:npx )?pinnace ((?!kubectl)[a-z].*)$/.exec(line) ?? [];
      if (command === "") continue;
      count += 1;
      const words =
        command.replace(/\s+# .*$|\s*(\||>|2>|&(?!&)|;|&&).*$/, "").match(/'[^']*'|"[^"]*"|\$\([^)]*\)|\S+/g) ?? [];
      const complaint = await complaintAbout(words.map((word) => word.replace(/^(['"])(.*)\1$/, "$2")));
      if (complaint) refused.push(`${document}: pinnace ${command}: ${complaint}`);
    }
  expect(refused).toEqual([]);
  expect(count).toBeGreaterThan(50);
});
