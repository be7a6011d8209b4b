/** What /proc/self/mountinfo says of the mounts around a path. Pure. */

/**
 * The mount that holds `path` and those below it, as lines that differ when the mounts do. Those in `except` (a folder) are left out,
 * and files that hold namespaces, which come and go with pods.
 */
export function mountsAt(path: string, mountinfo: string, except: string): string[] {
  let holder = { point: "", line: "" };
  const below: string[] = [];
  for (const text of mountinfo.split("\n")) {
    const [left = "", right = ""] = text.split(" - ");
    const [id, , device, root, escaped] = left.split(" ");
    if (!escaped || right.startsWith("nsfs ")) continue;
    const point = escaped.replace(/\\([0-7]{3})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    );
    if (isWithin(point, except)) continue;
    const line = [id, device, root, point].join(" ");
    // Of several at one point the last is on top.
    if (isWithin(path, point)) holder = point.length >= holder.point.length ? { point, line } : holder;
    else if (isWithin(point, path)) below.push(line);
  }
  return [holder.line, ...below];
}

/** True for the folder itself, too. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}
