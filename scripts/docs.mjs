// Makes the documentation site from the repository's Markdown: `npm run docs [folder]`, default `site`. Links between documents become
// links between pages; the configuration reference comes from the JSON schema.
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, posix, relative } from "node:path";
import { Marked } from "marked";

const target = process.argv[2] ?? "site";

/** In the order of the menu. `from` is a file of the repository, `to` a page of the site. */
const pages = [
  { group: "Start", from: "README.md", to: "index.html", title: "Pinnace" },
  { group: "Start", from: "docs/quick-start.md", to: "quick-start.html" },
  { group: "Start", from: "docs/ko/quick-start.md", to: "ko/quick-start.html", language: "ko" },
  { group: "Start", from: "docs/session.md", to: "session.html" },
  { group: "Reference", from: "docs/commands.md", to: "commands.html" },
  { group: "Reference", from: "docs/kubectl.md", to: "kubectl.html" },
  {
    group: "Reference",
    from: "schema/cluster-v1alpha1.schema.json",
    to: "configuration.html",
    title: "The configuration file",
  },
  { group: "Reference", from: "docs/embedding.md", to: "embedding.html" },
  { group: "Understand", from: "docs/how-it-works.md", to: "how-it-works.html" },
  { group: "Understand", from: "docs/differences.md", to: "differences.html" },
  { group: "Understand", from: "docs/troubleshooting.md", to: "troubleshooting.html" },
  {
    group: "Understand",
    from: "docs/ko/troubleshooting.md",
    to: "ko/troubleshooting.html",
    language: "ko",
  },
  { group: "Understand", from: "ARCHITECTURE.md", to: "architecture.html" },
  { group: "Labs", from: "docs/labs/README.md", to: "labs/index.html" },
  ...(await labs("en")),
  ...(await labs("ko")),
  { group: "Project", from: "CHANGELOG.md", to: "changelog.html" },
  { group: "Project", from: "CONTRIBUTING.md", to: "contributing.html" },
  { group: "Project", from: "DEPENDENCIES.md", to: "dependencies.html" },
];

async function labs(language) {
  const names = (await readdir(`docs/labs/${language}`)).filter((name) => name.endsWith(".md")).sort();
  return names.map((name) => ({
    group: language === "en" ? "Labs in English" : "Labs in Korean",
    from: `docs/labs/${language}/${name}`,
    to: `labs/${language}/${name.replace(/\.md$/, ".html")}`,
    language,
  }));
}

/** What a reader may open besides pages is copied as it is; folders and sources are named, not linked. */
const copied = /\.(ya?ml|json)$/;

const style = `
:root { color-scheme: light dark; --line: #8884; --accent: light-dark(#1558b0, #8ab4f8); }
body { margin: 0 auto; max-width: 76rem; display: grid; grid-template-columns: 16rem minmax(0, 1fr); gap: 3rem; padding: 1.5rem; font: 16px/1.6 system-ui, sans-serif; }
nav { font-size: .9rem; position: sticky; top: 1.5rem; align-self: start; max-height: calc(100vh - 3rem); overflow: auto; }
nav h2 { font-size: .75rem; text-transform: uppercase; letter-spacing: .05em; opacity: .6; margin: 1.2em 0 .3em; }
nav ul { list-style: none; margin: 0; padding: 0; } nav li { margin: .25em 0; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; } a[aria-current] { font-weight: 700; }
pre { padding: .8rem 1rem; overflow: auto; border: 1px solid var(--line); border-radius: .4rem; line-height: 1.4; }
code { font: .9em ui-monospace, monospace; } table { border-collapse: collapse; display: block; overflow: auto; }
td, th { border: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; }
@media (max-width: 50rem) { body { display: block; } nav { position: static; max-height: none; } }
`;

const sources = new Map();
for (const page of pages) {
  const text = await readFile(page.from, "utf8");
  const markdown = page.from.endsWith(".json") ? configurationReference(JSON.parse(text)) : text;
  page.title ??= /^# (.*)$/m.exec(markdown)?.[1] ?? page.from;
  sources.set(page, markdown);
}
const pageOf = new Map(pages.map((page) => [page.from, page]));
const toCopy = new Set();

await rm(target, { recursive: true, force: true });
for (const page of pages) {
  const body = render(page, sources.get(page));
  const file = join(target, page.to);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, layout(page, body));
}
for (const file of toCopy) {
  const copy = join(target, "files", file);
  await mkdir(dirname(copy), { recursive: true });
  await writeFile(copy, await readFile(file));
}
console.log(`${pages.length} pages in ${target}/`);

function render(page, markdown) {
  const marked = new Marked({ gfm: true });
  marked.use({
    renderer: {
      heading({ tokens, depth }) {
        const inner = this.parser.parseInline(tokens);
        return `<h${depth} id="${slug(inner)}">${inner}</h${depth}>\n`;
      },
      link({ href, tokens }) {
        const inner = this.parser.parseInline(tokens);
        const to = resolve(page, href);
        return to === undefined ? inner : `<a href="${escaped(to)}">${inner}</a>`;
      },
    },
  });
  return marked.parse(markdown);
}

/** Undefined for what the site does not have. */
function resolve(page, href) {
  if (/^[a-z]+:/.test(href) || href.startsWith("#")) return href;
  const [path, anchor] = href.split("#");
  const file = posix.join(posix.dirname(page.from), path).replace(/\/$/, "");
  const suffix = anchor ? `#${anchor}` : "";
  const found = pageOf.get(file) ?? pageOf.get(`${file}/README.md`);
  if (found) return `${relativeTo(page, found.to)}${suffix}`;
  if (!copied.test(file)) return undefined;
  toCopy.add(file);
  return relativeTo(page, `files/${file}`);
}

function relativeTo(page, to) {
  return relative(dirname(page.to), to) || posix.basename(to);
}

function layout(page, body) {
  const groups = [...new Set(pages.map(({ group }) => group))];
  const shown = groups.filter((group) => !group.startsWith("Labs in") || page.to.startsWith("labs/"));
  const menu = shown
    .map((group) => {
      const links = pages
        .filter((other) => other.group === group)
        .map((other) => {
          const current = other === page ? ' aria-current="page"' : "";
          return `<li><a href="${escaped(relativeTo(page, other.to))}"${current}>${escaped(other.title)}</a></li>`;
        });
      return `<h2>${escaped(group)}</h2><ul>${links.join("")}</ul>`;
    })
    .join("");
  return `<!doctype html>
<html lang="${page.language ?? "en"}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(page.title)}${page.to === "index.html" ? "" : " – Pinnace"}</title>
<style>${style}</style>
<nav>${menu}</nav>
<main>${body}</main>
</html>
`;
}

/** The schema as Markdown: a section a field that has fields of its own. */
function configurationReference(schema) {
  const lines = [
    "# The configuration file",
    "",
    "`pinnace up --config FILE` takes a YAML file. Every field but the first two is optional. A mistake is reported with its line and with what would be right. Editors that know JSON schemas can check it: [the schema](../schema/cluster-v1alpha1.schema.json).",
    "",
  ];
  const section = (title, node) => {
    const properties = node.properties ?? node.items?.properties;
    if (!properties) return;
    const required = new Set(node.required ?? node.items?.required ?? []);
    lines.push(`## ${title}`, "", "| field | what it says | values |", "|---|---|---|");
    for (const [name, field] of Object.entries(properties))
      lines.push(
        `| \`${name}\`${required.has(name) ? " (required)" : ""} | ${cell(field.description ?? "")} | ${cell(valuesOf(field))} |`,
      );
    lines.push("");
    for (const [name, field] of Object.entries(properties))
      section(title === "Fields" ? name : `${title}.${name}`, field);
  };
  section("Fields", schema);
  return lines.join("\n");
}

function valuesOf(field) {
  if (field.const !== undefined) return `\`${field.const}\``;
  if (field.enum) return field.enum.map((value) => `\`${value}\``).join(", ");
  if (field.errorMessage) return field.errorMessage;
  if (field.type === "array") return "a list";
  if (field.type === "object") return "fields, see below";
  return field.type ?? "";
}

function cell(text) {
  return String(text).replaceAll("|", "\\|").replaceAll("\n", " ");
}

/** As GitHub makes them, so that links work in both places. */
function slug(html) {
  return html
    .replace(/<[^>]*>/g, "")
    .replace(/&[a-z#0-9]+;/g, "")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replace(/\s/g, "-");
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
