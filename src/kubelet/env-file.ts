/**
 * Files of variables that a container may take values from (KEP-3721): lines of `NAME='value'`, where a value may go over several
 * lines and means every character as it stands; lines that begin with # and empty ones say nothing. Pure.
 */
const assignment = /^[ \t]*([^=\s#'][^=\s']*)[ \t]*=[ \t]*'([^']*)'[ \t]*(?:#[^\n]*)?(?:\r?\n|$)/;
const nothing = /^[ \t]*(?:#[^\n]*)?(?:\r?\n|$)/;

/** Upstream's bound. */
export const maximumEnvFileBytes = 64 * 1024;

/** Throws with the line's number when a line is neither. The last of several values for one name counts. */
export function parseEnvFile(text: string, path: string): Map<string, string> {
  const values = new Map<string, string>();
  for (let rest = text; rest !== ""; ) {
    const found = assignment.exec(rest);
    const skipped = found ?? nothing.exec(rest);
    if (!skipped) {
      const line = text.slice(0, text.length - rest.length).split("\n").length;
      throw new Error(`couldn't parse env file ${JSON.stringify(path)}: line ${line} is not of the form NAME='value'`);
    }
    if (found) values.set(found[1]!, found[2]!);
    rest = rest.slice(skipped[0].length);
  }
  return values;
}
