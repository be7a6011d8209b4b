/** URLs as Go's `net/url` reads them, complaints included. */

export interface GoUrl {
  scheme: string;
  user: string;
  host: string;
  query: string;
  fragment: string;
}

/** The parts of a URL as Go's parser tells them, which takes relative ones too; or its complaint. */
export function parseGoUrl(text: string): GoUrl | string {
  if (/[\u0000-\u001f\u007f]/.test(text)) return "net/url: invalid control character in URL";
  const [beforeFragment = "", fragment = ""] = divided(text, "#");
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(beforeFragment)?.[1] ?? "";
  if (!scheme && beforeFragment.startsWith(":")) return "missing protocol scheme";
  const [rest = "", query = ""] = divided(beforeFragment.slice(scheme ? scheme.length + 1 : 0), "?");
  if (!scheme && /^[^/]*:/.test(rest)) return "first path segment in URL cannot contain colon";
  if (!rest.startsWith("//")) return { scheme: scheme.toLowerCase(), user: "", host: "", query, fragment };
  const authority = rest.slice(2).split("/")[0]!;
  const at = authority.lastIndexOf("@");
  const host = authority.slice(at + 1);
  const odd = /[ "<>\\^`{|}]/.exec(host)?.[0];
  if (odd) return `invalid character ${JSON.stringify(odd)} in host name`;
  const port = /:([^:\]]*)$/.exec(host)?.[1];
  if (port !== undefined && !/^\d*$/.test(port)) return `invalid port ${JSON.stringify(`:${port}`)} after host`;
  return { scheme: scheme.toLowerCase(), user: authority.slice(0, Math.max(at, 0)), host, query, fragment };
}

/** What stands before and after the first `mark`. */
function divided(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
