// Fails when a file under src/ imports from a folder that its row in layers.mjs does not allow, or reaches npm or Node where it must not.
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, normalize, sep } from "node:path";
import { layers } from "../layers.mjs";

const rowOf = new Map(layers.map((layer) => [layer.folder, layer]));
const importPattern =
  /^\s*(?:import|export)\b[^"';]*?\bfrom\s*["']([^"']+)["']|^\s*import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/gm;

const violations = [];
for (const entry of await readdir("src", { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith(".ts")) continue;
  const file = join(entry.parentPath ?? entry.path, entry.name);
  const folder = file.split(sep)[1];
  if (folder.endsWith(".ts")) continue; // src/index.ts, the library's entry, stands above the table.
  const row = rowOf.get(folder);
  if (!row) {
    violations.push(`${file}: the folder src/${folder} has no row in layers.mjs`);
    continue;
  }
  const isTest = /\.(test|conformance)\.ts$/.test(file);
  for (const match of (await readFile(file, "utf8")).matchAll(importPattern)) {
    const specifier = match[1] ?? match[2] ?? match[3];
    if (specifier.startsWith("node:")) {
      if (folder === "base" && !file.startsWith(join("src", "base", "node")) && !isTest)
        violations.push(`${file}: ${specifier} belongs under src/base/node/`);
      continue;
    }
    if (!specifier.startsWith(".")) continue;
    const target = normalize(join(dirname(file), specifier)).split(sep)[1];
    if (target === folder || row.mayImport === "everything" || row.mayImport.includes(target)) continue;
    if (isTest && (target === "testing" || rowOf.get(target)?.kit)) continue;
    violations.push(`${file}: src/${folder} may not import src/${target} (${specifier})`);
  }
}

if (violations.length > 0) {
  console.error(violations.join("\n"));
  console.error(`${violations.length} imports break the layer table`);
  process.exit(1);
}
console.log("layers hold");
