import { expect, test } from "vitest";
import { mountsAt } from "./mount-table.ts";

const table = [
  "27 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw",
  "30 27 0:30 / /mnt/usb rw shared:7 - tmpfs tmpfs rw",
  "31 30 0:31 / /mnt/usb/inner\\040one rw - tmpfs tmpfs rw",
  "32 27 0:32 / /mnt/usb2 rw - tmpfs tmpfs rw",
  "33 27 0:33 / /cluster/x rw - tmpfs tmpfs rw",
  "34 27 0:4 net:[4026] /run/netns/a rw - nsfs nsfs rw",
  "35 27 0:35 / /mnt/usb2 rw - tmpfs on-top rw",
].join("\n");

const at = (path: string) => mountsAt(path, table, "/cluster");

test("the mount that holds a path and those below it are told, the topmost of several", () => {
  expect(at("/mnt/usb")).toEqual(["30 0:30 / /mnt/usb", "31 0:31 / /mnt/usb/inner one"]);
  expect(at("/mnt/usb/folder")).toEqual(["30 0:30 / /mnt/usb"]);
  expect(at("/mnt/usb2/x")).toEqual(["35 0:35 / /mnt/usb2"]);
  expect(at("/srv")).toEqual(["27 8:1 / /"]);
});

test("the cluster's own mounts and files of namespaces are passed over", () => {
  expect(at("/cluster/x")).toEqual(["27 8:1 / /"]);
  expect(at("/run")).toEqual(["27 8:1 / /"]);
});
