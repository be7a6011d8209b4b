/** `$(NAME)` in commands, arguments and values, as Kubernetes expands it: `$$` escapes, what is unknown stays as written. Pure. */

export function expand(text: string, lookup: (name: string) => string | undefined): string {
  if (!text.includes("$")) return text;
  let result = "";
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== "$" || i + 1 === text.length) {
      result += text[i];
      continue;
    }
    const next = text[i + 1];
    const end = next === "(" ? text.indexOf(")", i + 2) : -1;
    if (end >= 0) {
      const name = text.slice(i + 2, end);
      result += lookup(name) ?? `$(${name})`;
      i = end;
    } else {
      result += next === "$" ? "$" : `$${next}`;
      i++;
    }
  }
  return result;
}
