import { expect, test } from "vitest";
import { isAccessible, withAccess } from "./image-access.ts";

const name = "registry.example/team/web:1";
const ours = { username: "u", password: "p", source: "uid-1/shop/pull" };

test("an image that nobody pulled for a pod is for all", () => {
  expect(isAccessible(undefined, name, [])).toBe(true);
  expect(isAccessible({}, name, [])).toBe(true);
});

test("an image pulled without credentials is for all, by the names that it was pulled by", () => {
  const access = withAccess(undefined, name, undefined);
  expect(isAccessible(access, name, [])).toBe(true);
  expect(isAccessible(access, "registry.example/team/web:2", [])).toBe(true);
  expect(isAccessible(access, "registry.example/other/web:1", [])).toBe(false);
});

test("an image pulled with credentials is for those who have the same, or the same Secret", () => {
  const access = withAccess(undefined, name, ours);
  expect(isAccessible(access, name, [])).toBe(false);
  expect(isAccessible(access, name, [{ username: "u", password: "guess", source: "uid-2/spy/pull" }])).toBe(false);
  expect(isAccessible(access, name, [{ username: "u", password: "p", source: "uid-2/spy/pull" }])).toBe(true);
  expect(isAccessible(access, name, [{ username: "u", password: "new", source: "uid-1/shop/pull" }])).toBe(true);
});

test("what has once come without credentials stays for all", () => {
  const access = withAccess(withAccess(undefined, name, ours), name, undefined);
  expect(isAccessible(access, name, [])).toBe(true);
});

test("what proves access does not tell the password", () => {
  expect(JSON.stringify(withAccess(undefined, name, { username: "u", password: "opensesame" }))).not.toContain(
    "opensesame",
  );
});
