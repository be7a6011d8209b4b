import { expect, test } from "vitest";
import { controllerCatalog, selectControllers } from "./catalog.ts";

const catalog = controllerCatalog({ discover: async () => ({ resources: [], failures: [] }) });
const names = (wanted: string[]) => selectControllers(catalog, wanted).map(({ name }) => name);

test("controllers are turned on and off by name, as upstream's flag does", () => {
  expect(names(["*"])).toHaveLength(catalog.length);
  expect(names(["*", "-job-controller"])).not.toContain("job-controller");
  expect(names(["job-controller", "cronjob-controller"]).sort()).toEqual(["cronjob-controller", "job-controller"]);
});

test("an unknown controller is an error that names it", () => {
  expect(() => names(["*", "-jobs"])).toThrow("unknown controllers: jobs");
});

test("upstream's other names, and its older ones, may be given to turn controllers off, but not on", () => {
  expect(names(["*", "bootstrapsigner", "tokencleaner"])).toHaveLength(catalog.length);
  expect(names(["*", "-nodelifecycle"])).not.toContain("node-lifecycle-controller");
  expect(names(["*", "-selinux-warning-controller", "-route"])).toHaveLength(catalog.length);
  expect(() => names(["*", "selinux-warning-controller"])).toThrow(
    "controllers that are not part of this cluster: selinux-warning-controller",
  );
});

test("no name is given twice, but for the two halves of one controller", () => {
  const all = catalog.map(({ name }) => name);
  expect(all.filter((name, i) => all.indexOf(name) !== i)).toEqual(["disruption-controller"]);
});
