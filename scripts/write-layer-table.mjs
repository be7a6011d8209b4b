// Writes the layer table of layers.mjs into ARCHITECTURE.md, between its two markers. With --check it only says whether it is current.
import { readFile, writeFile } from "node:fs/promises";
import { layers } from "../layers.mjs";

const start = "<!-- layers: generated from layers.mjs by scripts/write-layer-table.mjs -->";
const end = "<!-- /layers -->";

const kit = layers.filter((layer) => layer.kit).map((layer) => layer.folder);
const mayImport = (layer) => {
  if (layer.mayImport === "everything") return "everything";
  if (layer.mayImport.length === 0) return "–";
  const isWholeKit = kit.every((folder) => layer.mayImport.includes(folder));
  const others = layer.mayImport.filter((folder) => !isWholeKit || !kit.includes(folder));
  return [...others, ...(isWholeKit ? ["kit"] : [])].join(", ");
};
const table = [
  "| folder under `src/` | what lives there | may import |",
  "|---|---|---|",
  ...layers.map(
    (layer) => `| \`${layer.folder}/\`${layer.kit ? " (kit)" : ""} | ${layer.holds} | ${mayImport(layer)} |`,
  ),
].join("\n");

const file = "ARCHITECTURE.md";
const text = await readFile(file, "utf8");
const next = `${text.slice(0, text.indexOf(start) + start.length)}\n${table}\n${text.slice(text.indexOf(end))}`;
if (process.argv.includes("--check")) {
  if (next !== text) {
    console.error("ARCHITECTURE.md does not show layers.mjs: run node scripts/write-layer-table.mjs");
    process.exit(1);
  }
} else await writeFile(file, next);
