/** The library as its users import it: built, for tests under test/. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

export type Library = typeof import("../index.ts");

export const libraryPath = resolve("dist/index.mjs");

export function importLibrary(): Promise<Library> {
  return import(pathToFileURL(libraryPath).href);
}
