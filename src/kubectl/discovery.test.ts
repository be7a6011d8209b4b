/** A server as it was before 1.26, of plain HTTP/1.1: what it serves is asked group by group, and remembered. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { systemClock } from "../base/node/system-clock.ts";
import { systemRandom } from "../base/node/system-random.ts";
import { runKubectl } from "./kubectl.ts";

const verbs = ["get", "list"];
const answers: Record<string, unknown> = {
  "/api": { kind: "APIVersions", versions: ["v1"] },
  "/apis": {
    kind: "APIGroupList",
    groups: [
      {
        name: "example.com",
        versions: [{ version: "v1beta1" }, { version: "v1" }],
        preferredVersion: { version: "v1" },
      },
      { name: "away.example.com", versions: [{ version: "v1" }], preferredVersion: { version: "v1" } },
    ],
  },
  "/api/v1": {
    kind: "APIResourceList",
    resources: [
      { name: "pods", singularName: "", namespaced: true, kind: "Pod", verbs, shortNames: ["po"], categories: ["all"] },
      { name: "pods/log", singularName: "", namespaced: true, kind: "Pod", verbs },
    ],
  },
  "/apis/example.com/v1beta1": {
    kind: "APIResourceList",
    resources: [{ name: "boats", singularName: "boat", namespaced: false, kind: "Boat", verbs }],
  },
  "/apis/example.com/v1": {
    kind: "APIResourceList",
    resources: [{ name: "boats", singularName: "boat", namespaced: false, kind: "Boat", verbs }],
  },
  "/apis/example.com/v1/boats": { kind: "BoatList", items: [{ metadata: { name: "pinnace" } }] },
  "/apis/example.com/v1/oars": { kind: "OarList", items: [] },
};

const home = mkdtempSync(join(tmpdir(), "pnt-discovery-"));
const asked: string[] = [];
const server = createServer(({ url }, response) => {
  const [path = ""] = url!.split("?");
  asked.push(path);
  const answer = answers[path];
  response.writeHead(answer ? 200 : 503, { "content-type": "application/json" }).end(JSON.stringify(answer ?? {}));
});
beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
beforeEach(() => {
  asked.length = 0;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(home, { recursive: true, force: true });
});

async function kubectl(...args: string[]): Promise<string> {
  let printed = "";
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      printed += chunk.toString();
      done();
    },
  });
  await runKubectl([...args, "-s", `http://127.0.0.1:${(server.address() as AddressInfo).port}`], {
    stdin: Readable.from([]),
    stdout: output,
    stderr: output,
    environment: { HOME: home, KUBECONFIG: join(home, "none") },
    clock: systemClock,
    random: () => Promise.resolve(systemRandom),
    signal: new AbortController().signal,
  });
  return printed;
}

test("a server without aggregated discovery is asked group by group, its preferred versions first; a group that is away does not matter", async () => {
  expect(await kubectl("api-resources")).toBe(
    [
      "NAME    SHORTNAMES   APIVERSION       NAMESPACED   KIND",
      "pods    po           v1               true         Pod",
      "boats                example.com/v1   false        Boat",
      "",
    ].join("\n"),
  );
});

test("what it serves is remembered, and asked for again when a word is not among it", async () => {
  expect(await kubectl("get", "boats", "-o", "name")).toBe("boat.example.com/pinnace\n");
  expect(asked).toEqual(["/apis/example.com/v1/boats"]);
  const list = answers["/apis/example.com/v1"] as { resources: object[] };
  list.resources.push({ name: "oars", singularName: "oar", namespaced: false, kind: "Oar", verbs });
  expect(await kubectl("get", "oars", "-o", "name")).toBe("");
  expect(asked).toContain("/apis");
  expect(asked.at(-1)).toBe("/apis/example.com/v1/oars");
});
