/** A root of busybox's commands for tests, with users in /etc/passwd. */
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../base/node/find-program.ts";

export function busyboxLayer(layer: string): void {
  for (const path of ["bin", "etc", "tmp"]) mkdirSync(join(layer, path), { recursive: true });
  copyFileSync(findProgram("busybox")!, join(layer, "bin/busybox"));
  for (const name of commands) symlinkSync("busybox", join(layer, "bin", name));
  writeFileSync(join(layer, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\ntester:x:1000:1000::/home/tester:/bin/sh\n");
  writeFileSync(join(layer, "etc/group"), "root:x:0:\ntester:x:1000:\n");
}

const commands =
  "sh cat echo env false grep head hostname id ls nc printf ps pwd readlink sleep stty tail touch true unshare wc yes".split(
    " ",
  );
