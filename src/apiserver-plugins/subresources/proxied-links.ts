/** Links of a proxied server, changed so that they lead through the proxy again. */

/** A redirect to the server's own host, or to a path on it, gets the proxy's path before it; others stay as they are. */
export function rewriteLocation(location: string, host: string, prefix: string): string {
  const match = /^(?:(?:https?:)?\/\/([^/?#]*))?(\/[^?#]*)?([?#].*)?$/i.exec(location);
  if (!match) return location;
  const [, linkHost, path = "", rest = ""] = match;
  if (linkHost !== undefined && linkHost !== host) return location;
  if (path === "" && linkHost === undefined) return location;
  if (path.startsWith(prefix)) return `${path}${rest}`;
  return `${prefix}${path || "/"}${rest}`;
}

/** Attributes of HTML that hold an address. */
const attribute =
  /(\s(?:action|background|cite|classid|codebase|data|formaction|href|icon|longdesc|manifest|poster|profile|src|usemap)\s*=\s*)("([^"]*)"|'([^']*)')/gi;

/** The page with its absolute links rewritten; text, comments and scripts stay as they are. */
export function rewriteLinks(page: string, host: string, prefix: string): string {
  const piece = /<!--[\s\S]*?-->|(<script\b[^>]*>)([\s\S]*?<\/script\s*>)|<[a-z][^>]*>/gi;
  return page.replace(piece, (whole, script: string | undefined, code: string | undefined) => {
    if (whole.startsWith("<!--")) return whole;
    const tag = script ?? whole;
    const rewritten = tag.replace(attribute, (_, name: string, quoted: string, double?: string, single?: string) => {
      const quote = quoted[0]!;
      return `${name}${quote}${rewriteLocation(double ?? single ?? "", host, prefix)}${quote}`;
    });
    return rewritten + (code ?? "");
  });
}
