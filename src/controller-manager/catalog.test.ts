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

test("no name is given twice", () => {
  expect(new Set(catalog.map(({ name }) => name)).size).toBe(catalog.length);
});
