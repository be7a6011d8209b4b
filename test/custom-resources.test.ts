/** Custom resources as a user meets them: real kubectl against a whole API server, across versions, restarts and deletion. */
import { execFile } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ConversionRequest } from "../src/api/apiextensions/v1.ts";
import { CustomResourceDefinitions } from "../src/api/resources.ts";
import { CustomResources } from "../src/apiserver-plugins/custom-resources/custom-resources.ts";
import { plainDial, type ServiceRouter } from "../src/apiserver-plugins/webhooks/service-route.ts";
import { WebhookCaller } from "../src/apiserver-plugins/webhooks/webhook-caller.ts";
import { silentLogger } from "../src/base/logger.ts";
import { systemClock } from "../src/base/node/system-clock.ts";
import { systemRandom } from "../src/base/node/system-random.ts";
import { MemoryStore } from "../src/storage/memory.ts";
import { startTestApiServer, type TestApiServer } from "../src/testing/api-server.ts";
import { startWebhookServer } from "../src/testing/webhook-server.ts";

let store: MemoryStore;
let api: TestApiServer;
let stop: AbortController;
let webhooks: WebhookCaller;

async function start(): Promise<void> {
  stop = new AbortController();
  api = await startTestApiServer({ store });
  const { client, server } = api;
  const { registry } = server;
  const router: ServiceRouter = { dial: plainDial, route: async () => ({ host: "127.0.0.1", port: 1 }) };
  webhooks = new WebhookCaller({ router, clock: systemClock });
  await new CustomResources({
    registry,
    client,
    webhooks,
    random: systemRandom,
    clock: systemClock,
    log: silentLogger,
    signal: stop.signal,
  }).start();
}

async function end(): Promise<void> {
  stop.abort();
  webhooks.close();
  await api.close();
}

beforeEach(async () => {
  store = new MemoryStore({ clock: systemClock });
  await start();
});

afterEach(async () => {
  await end();
  await store.close();
});

/** Standard output, or what was complained of. */
function kubectl(args: string, input?: object): Promise<string> {
  return new Promise((resolve) => {
    const words = args.split(" ");
    const child = execFile(
      "kubectl",
      ["--kubeconfig", api.kubeconfig, "--cache-dir", `${api.kubeconfig}.cache`, ...words],
      { timeout: 30_000 },
      (error, out, complaints) => resolve((error ? complaints : out).trim()),
    );
    child.stdin?.on("error", () => {}).end(input ? JSON.stringify(input) : "");
  });
}

const shipSchema = {
  type: "object",
  properties: {
    spec: {
      type: "object",
      description: "What the ship should be.",
      properties: {
        rig: { type: "string", enum: ["sloop", "brig"], default: "sloop", description: "How it is rigged." },
        sailors: { type: "integer", minimum: 0 },
        launched: { type: "integer", format: "int64" },
        captain: {
          type: "string",
          "x-kubernetes-validations": [{ rule: "self == oldSelf", message: "captains stay" }],
        },
      },
    },
    status: { type: "object", properties: { sailors: { type: "integer" }, selector: { type: "string" } } },
  },
};

const v1 = {
  name: "v1",
  served: true,
  storage: true,
  schema: { openAPIV3Schema: shipSchema },
  subresources: {
    status: {},
    scale: {
      specReplicasPath: ".spec.sailors",
      statusReplicasPath: ".status.sailors",
      labelSelectorPath: ".status.selector",
    },
  },
  additionalPrinterColumns: [
    { name: "Rig", type: "string", jsonPath: ".spec.rig" },
    { name: "Sailors", type: "integer", jsonPath: ".spec.sailors" },
  ],
  selectableFields: [{ jsonPath: ".spec.rig" }],
};

const definition = (versions: object[] = [v1], more: object = {}) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "ships.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "ships", kind: "Ship", shortNames: ["sh"], categories: ["fleet"], ...more },
    versions,
  },
});

const ship = (spec: object, metadata: object = {}, apiVersion = "example.com/v1") => ({
  apiVersion,
  kind: "Ship",
  metadata: { name: "beagle", ...metadata },
  spec,
});

const established = () => kubectl("wait --for=condition=Established crd/ships.example.com --timeout=20s");

describe("a CustomResourceDefinition", () => {
  it("makes a kind that kubectl applies, explains, lists, scales, selects and deletes", async () => {
    expect(await kubectl("apply -f -", definition())).toBe(
      "customresourcedefinition.apiextensions.k8s.io/ships.example.com created",
    );
    await established();
    expect(await kubectl("apply -f -", ship({ sailors: 3, captain: "fitzroy" }))).toBe(
      "ship.example.com/beagle created",
    );
    expect((await kubectl("get sh")).split("\n").map((line) => line.trim())).toEqual([
      "NAME     RIG     SAILORS",
      "beagle   sloop   3",
    ]);
    expect(await kubectl("get fleet -o name")).toBe("ship.example.com/beagle");
    expect(await kubectl("explain ship.spec.rig")).toContain("How it is rigged.");
    expect(await kubectl("scale ship beagle --replicas=5")).toBe("ship.example.com/beagle scaled");
    expect(await kubectl("get ship beagle -o jsonpath={.spec.sailors}")).toBe("5");
    expect(await kubectl("get ships -o name --field-selector spec.rig=sloop")).toBe("ship.example.com/beagle");
    expect(await kubectl("get ships -o name --field-selector spec.rig=brig")).toBe("");
    expect(
      await kubectl("apply --server-side --force-conflicts -f -", ship({ rig: "brig", captain: "fitzroy" })),
    ).toContain("serverside-applied");
    expect(await kubectl("apply -f -", ship({ riig: "x" }))).toContain(
      'strict decoding error: unknown field "spec.riig"',
    );
    expect(await kubectl('patch ship beagle --type merge -p {"spec":{"captain":"pringle"}}')).toBe(
      'The Ship "beagle" is invalid: spec.captain: Invalid value: "pringle": captains stay',
    );
    expect(await kubectl("delete ship beagle")).toBe('ship.example.com "beagle" deleted');
  }, 60_000);

  it("is served again after a restart, with its objects, to the last digit", async () => {
    await kubectl("apply -f -", definition());
    await established();
    await kubectl("apply -f -", ship({ rig: "brig" }));
    await kubectl('patch ship beagle --type merge -p {"spec":{"launched":9223372036854775807}}');
    await end();
    await start();
    expect(await kubectl("get ships -o jsonpath={.items[*].spec['rig','launched']}")).toBe("brig 9223372036854775807");
  }, 60_000);

  it("that is deleted takes its objects with it, and waits for their finalizers", async () => {
    await kubectl("apply -f -", definition());
    await established();
    await kubectl("apply -f -", ship({}, { finalizers: ["example.com/anchor"] }));
    await kubectl("delete crd ships.example.com --wait=false");
    await kubectl("wait --for=jsonpath={.metadata.deletionTimestamp} ship/beagle --timeout=20s");
    expect(await kubectl("create -f -", ship({}, { name: "late" }))).toContain(
      "create not allowed while custom resource definition is terminating",
    );
    await kubectl('patch ship beagle --type merge -p {"metadata":{"finalizers":null}}');
    await kubectl("wait --for=delete crd/ships.example.com --timeout=20s");
    expect(await kubectl("get --raw /apis/example.com/v1/ships")).toContain("NotFound");
    // Nothing is left in the store for a definition of the same name to find.
    await kubectl("apply -f -", definition());
    await established();
    expect(await kubectl("get ships -o name")).toBe("");
  }, 60_000);

  it("may not take the names of another", async () => {
    await kubectl("apply -f -", definition());
    await established();
    const other = definition([v1], { plural: "vessels", kind: "Vessel", shortNames: ["sh"] });
    other.metadata.name = "vessels.example.com";
    await kubectl("apply -f -", other);
    await kubectl("wait --for=condition=NamesAccepted=false crd/vessels.example.com --timeout=20s");
    const { status } = await api.client.get(CustomResourceDefinitions, { name: "vessels.example.com" });
    expect(status?.conditions?.map(({ type, reason, message }) => [type, reason, message])).toEqual([
      ["NamesAccepted", "ShortNamesConflict", '"sh" is already in use'],
      ["Established", "NotAccepted", "not all names are accepted"],
    ]);
    await kubectl("delete crd ships.example.com");
    await kubectl("wait --for=condition=Established crd/vessels.example.com --timeout=20s");
    expect(await kubectl("get vessels -o name")).toBe("");
  }, 60_000);

  it("with several versions shows each object in all of them, with each version's own defaults", async () => {
    // Versions whose schemas differ may not have the same selectable fields, as upstream has it.
    const v2 = {
      ...{ ...v1, name: "v2", storage: false, selectableFields: [] },
      schema: { openAPIV3Schema: structuredClone(shipSchema) },
    };
    v2.schema.openAPIV3Schema.properties.spec.properties.rig.default = "brig";
    await kubectl("apply -f -", definition());
    await established();
    await kubectl("apply -f -", ship({ sailors: 1 }));
    await kubectl("apply -f -", definition([v1, v2]));
    await kubectl("wait --for=jsonpath={.apiVersion}=example.com/v2 ships.v2.example.com/beagle --timeout=20s");
    expect(await kubectl("get ships.v2.example.com beagle -o jsonpath={.apiVersion}/{.spec.rig}")).toBe(
      "example.com/v2/sloop",
    );
    await kubectl("apply -f -", ship({ sailors: 2 }, { name: "two" }, "example.com/v2"));
    expect(await kubectl("get ships.v1.example.com two -o jsonpath={.apiVersion}/{.spec.rig}")).toBe(
      "example.com/v1/brig",
    );
    await kubectl(
      "apply -f -",
      definition([
        { ...v1, storage: false },
        { ...v2, storage: true },
      ]),
    );
    expect(await kubectl("get crd ships.example.com -o jsonpath={.status.storedVersions}")).toBe('["v1","v2"]');
    expect(await kubectl("get ships.v1.example.com -o jsonpath={.items[*].metadata.name}")).toBe("beagle two");
  }, 60_000);

  it("that changes ends the watches of what it was, as upstream, so that clients see it as it is", async () => {
    await kubectl("apply -f -", definition());
    await established();
    const Ships = { group: "example.com", version: "v1", kind: "Ship", plural: "ships", scope: "Namespaced" } as const;
    const watch = () => api.client.watch(Ships, { namespace: "default", resourceVersion: "" }, () => {});
    const first = await watch();
    await kubectl("apply -f -", definition([{ ...v1, additionalPrinterColumns: [] }]));
    await first.closed;
    const second = await watch();
    await kubectl(
      "apply -f -",
      definition([
        { ...v1, served: false, storage: false },
        { ...v1, name: "v2" },
      ]),
    );
    await second.closed;
    await expect(watch()).rejects.toThrow("could not find the requested resource");
  }, 60_000);

  it("in a group of the Kubernetes project says where it was approved", async () => {
    const crd = definition();
    const annotated = (approval?: string) => ({
      ...crd,
      metadata: {
        name: "ships.sea.k8s.io",
        ...(approval ? { annotations: { "api-approved.kubernetes.io": approval } } : {}),
      },
      spec: { ...crd.spec, group: "sea.k8s.io" },
    });
    expect(await kubectl("apply -f -", annotated())).toContain("protected groups must have approval annotation");
    expect(await kubectl("apply -f -", annotated("sea:shanty"))).toContain(
      'with either a URL or a reason starting with "unapproved"',
    );
    const condition = () =>
      kubectl(
        'get crd ships.sea.k8s.io -o jsonpath={range.status.conditions[?(@.type=="KubernetesAPIApprovalPolicyConformant")]}{.status}:{.reason}:{.message}{end}',
      );
    await kubectl("apply -f -", annotated("unapproved, a test"));
    await expect
      .poll(condition, { timeout: 20_000 })
      .toBe('False:UnapprovedAnnotation:not approved: "unapproved, a test"');
    await kubectl("apply -f -", annotated("https://example.com/1"));
    await expect.poll(condition, { timeout: 20_000 }).toBe("True:ApprovedAnnotation:approved in https://example.com/1");
  }, 60_000);

  it("may leave conversion to a webhook", async () => {
    let broken = false;
    // In v2 the rig is called sails.
    await using hook = await startWebhookServer((review) => {
      const { uid, desiredAPIVersion, objects } = (review as unknown as { request: ConversionRequest }).request;
      const result = broken ? { status: "Failure", message: "out of order" } : { status: "Success" };
      const convertedObjects = (objects as Ship[]).map(({ spec, ...object }) => {
        const { rig, sails, ...rest } = spec;
        const what = rig ?? sails;
        return {
          ...object,
          apiVersion: desiredAPIVersion,
          spec: { ...rest, ...(desiredAPIVersion.endsWith("v2") ? { sails: what } : { rig: what }) },
        };
      });
      return {
        kind: "ConversionReview",
        apiVersion: "apiextensions.k8s.io/v1",
        response: { uid, result, ...(broken ? {} : { convertedObjects }) },
      };
    });
    const v2Schema = {
      type: "object",
      properties: { spec: { type: "object", properties: { sails: { type: "string" }, sailors: { type: "integer" } } } },
    };
    const selectableFields = [{ jsonPath: ".spec.sails" }];
    const v2 = { name: "v2", served: true, storage: false, schema: { openAPIV3Schema: v2Schema }, selectableFields };
    const crd = definition([v1, v2]);
    const conversion = {
      strategy: "Webhook",
      webhook: {
        clientConfig: { url: `${hook.url}/convert`, caBundle: hook.caBundle },
        conversionReviewVersions: ["v1"],
      },
    };
    await kubectl("apply -f -", { ...crd, spec: { ...crd.spec, conversion } });
    await established();
    const seen: string[] = [];
    const Ships2 = { group: "example.com", version: "v2", kind: "Ship", plural: "ships", scope: "Namespaced" } as const;
    const names = { namespace: "default" };
    const watch = await api.client.watch(Ships2, { ...names, resourceVersion: "" }, (events) => {
      for (const event of events)
        if (event.type !== "BOOKMARK") seen.push(`${event.type} ${(event.object as unknown as Ship).spec.sails}`);
    });
    // Fields that only the webhook can tell select all the same.
    const sloops: string[] = [];
    const selecting = { ...names, resourceVersion: "", fieldSelector: "spec.sails=sloop" };
    const selectingWatch = await api.client.watch(Ships2, selecting, (events) => {
      for (const { type, object } of events) if (type !== "BOOKMARK") sloops.push(`${type} ${object.metadata.name}`);
    });
    await kubectl("apply -f -", { ...ship({}, {}, "example.com/v2"), spec: { sails: "brig" } });
    await kubectl("apply -f -", { ...ship({}, { name: "other" }, "example.com/v2"), spec: { sails: "sloop" } });
    expect(await kubectl("get ships.v1.example.com beagle -o jsonpath={.apiVersion}/{.spec.rig}")).toBe(
      "example.com/v1/brig",
    );
    await kubectl('patch ships.v1.example.com beagle --type merge -p {"spec":{"rig":"sloop"}}');
    const namesOf = "get ships.v2.example.com -o jsonpath={.items[*].metadata.name} --field-selector";
    expect(await kubectl(`${namesOf} spec.sails=sloop`)).toBe("beagle other");
    await kubectl('patch ships.v1.example.com other --type merge -p {"spec":{"rig":"brig"}}');
    expect(await kubectl(`${namesOf} spec.sails!=sloop`)).toBe("other");
    await expect.poll(() => sloops, { timeout: 20_000 }).toEqual(["ADDED other", "ADDED beagle", "DELETED other"]);
    await kubectl("delete ships.v2.example.com --field-selector spec.sails=brig --wait=false");
    expect(await kubectl("get ships.v2.example.com -o jsonpath={.items[*].spec.sails}")).toBe("sloop");
    expect(seen.slice(0, 3)).toEqual(["ADDED brig", "ADDED sloop", "MODIFIED sloop"]);
    watch.stop();
    selectingWatch.stop();
    broken = true;
    expect(
      await kubectl("apply -f -", { ...ship({}, { name: "new" }, "example.com/v2"), spec: { sails: "brig" } }),
    ).toContain("conversion webhook for example.com/v2, Kind=Ship failed: out of order");
  }, 60_000);
});

interface Ship {
  spec: { rig?: string; sails?: string };
}
