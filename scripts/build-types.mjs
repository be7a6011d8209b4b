// Writes the declarations of what src/index.ts exports into dist/types/, and of what those mention: nothing else.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import ts from "typescript";

const source = resolve("src");
const target = resolve("dist/types");
const { config } = ts.readConfigFile("tsconfig.json", ts.sys.readFile);
const { options } = ts.convertCompilerOptionsFromJson(
  // `npm run typecheck` checks.
  {
    ...config.compilerOptions,
    incremental: false,
    tsBuildInfoFile: undefined,
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    noCheck: true,
  },
  ".",
);
const program = ts.createProgram([join(source, "index.ts")], options);

function declarationOf(file) {
  let text;
  const keep = (name, content) => {
    if (name.endsWith(".d.ts")) text = content;
  };
  program.emit(program.getSourceFile(file), keep, undefined, true);
  if (text === undefined) throw new Error(`no declaration of ${file}`);
  return text;
}

await rm(target, { recursive: true, force: true });
const waiting = [join(source, "index.ts")];
const seen = new Set(waiting);
for (const file of waiting) {
  const text = declarationOf(file).replace(/(["'])(\.\.?\/[^"']+)\.ts\1/g, (_, quote, path) => {
    const mentioned = resolve(dirname(file), `${path}.ts`);
    if (!seen.has(mentioned)) waiting.push(mentioned);
    seen.add(mentioned);
    return `${quote}${path}.js${quote}`;
  });
  const written = join(target, relative(source, file)).replace(/\.ts$/, ".d.ts");
  await mkdir(dirname(written), { recursive: true });
  await writeFile(written, text);
}
await writeFile("dist/index.d.ts", 'export * from "./types/index.js";\n');
