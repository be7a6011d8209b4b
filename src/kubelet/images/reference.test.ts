import { expect, test } from "vitest";
import { formatReference, parseReference } from "./reference.ts";

const whole = (name: string) => formatReference(parseReference(name));

test("names are made whole as containerd does", () => {
  const digest = `sha256:${"0a".repeat(32)}`;
  expect(
    [
      "nginx",
      "nginx:1.27",
      "bitnami/redis",
      "index.docker.io/library/nginx",
      "localhost/x",
      "localhost:5000/a/b:c",
    ].map(whole),
  ).toEqual([
    "docker.io/library/nginx:latest",
    "docker.io/library/nginx:1.27",
    "docker.io/bitnami/redis:latest",
    "docker.io/library/nginx:latest",
    "localhost/x:latest",
    "localhost:5000/a/b:c",
  ]);
  expect(whole(`nginx:1.27@${digest}`)).toBe(`docker.io/library/nginx@${digest}`);
  expect(whole(`registry.k8s.io/pause@${digest}`)).toBe(`registry.k8s.io/pause@${digest}`);
  expect(whole("[::1]:5000/x")).toBe("[::1]:5000/x:latest");
});

test("names that cannot be are refused in the words that users know", () => {
  const complaint = (name: string) => {
    try {
      return whole(name);
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(
    ["Nginx", "nginx:", "", "a b", "nginx:tag:tag", "f".repeat(64), "x@sha256:12", "-x", "a//b", "docker.io/Foo"].map(
      complaint,
    ),
  ).toEqual([
    `couldn't parse image name "Nginx": repository name must be lowercase`,
    `couldn't parse image name "nginx:": invalid reference format`,
    `couldn't parse image name "": invalid reference format`,
    `couldn't parse image name "a b": invalid reference format`,
    `couldn't parse image name "nginx:tag:tag": invalid reference format`,
    `couldn't parse image name "${"f".repeat(64)}": cannot specify 64-byte hexadecimal strings`,
    `couldn't parse image name "x@sha256:12": invalid reference format`,
    `couldn't parse image name "-x": invalid reference format`,
    `couldn't parse image name "a//b": invalid reference format`,
    `couldn't parse image name "docker.io/Foo": repository name must be lowercase`,
  ]);
});
