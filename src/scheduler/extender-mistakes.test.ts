import { expect, test } from "vitest";
import { extenderMistakes } from "./extender-mistakes.ts";

test("what is wrong with extenders is said with its place", () => {
  const urlPrefix = "http://127.0.0.1:8888/";
  const seats = [{ name: "example.com/seat" }];
  const mistakes = extenderMistakes([
    { urlPrefix: "localhost:80", prioritizeVerb: "score", httpTimeout: "soon" },
    { urlPrefix, bindVerb: "bind", managedResources: seats, tlsConfig: { certFile: "cert.pem" } },
    { urlPrefix, bindVerb: "bind", managedResources: [{ name: "cpu" }, ...seats] },
  ]);
  expect(mistakes.map(({ path, message }) => `${path.join(".")}: ${message}`)).toEqual([
    '0.urlPrefix: "localhost:80" must be a URL that begins with http:// or https://',
    "0.weight: must be a positive number where there is a prioritizeVerb",
    '0.httpTimeout: "soon" must be a duration such as "5s"',
    "1.tlsConfig: a certificate needs its key: keyData or keyFile",
    "2.bindVerb: only one extender may bind pods, and extenders[1] does",
    '2.managedResources.0.name: "cpu" must be an extended resource such as "example.com/gpu"',
    '2.managedResources.1.name: "example.com/seat" is already managed by extenders[1]',
  ]);
  expect(
    extenderMistakes([
      { urlPrefix, prioritizeVerb: "score", weight: 1, httpTimeout: "100ms", managedResources: seats },
    ]),
  ).toEqual([]);
});
