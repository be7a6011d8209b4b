import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../base/node/system-clock.ts";
import { MemoryStore } from "../memory.ts";
import { storeConformance } from "../store.conformance.ts";
import type { Store } from "../store.ts";
import { EncryptedStore } from "./encrypted-store.ts";
import {
  type EncryptionConfiguration,
  type EncryptionProvider,
  encryptionConfigurationErrors,
  sealingOf,
} from "./encryption-configuration.ts";

const secret = (size = 32) => randomBytes(size).toString("base64");
const configuration = (...providers: EncryptionProvider[]): EncryptionConfiguration => ({
  apiVersion: "apiserver.config.k8s.io/v1",
  kind: "EncryptionConfiguration",
  resources: [{ resources: ["secrets"], providers }],
});
const sealed = (inner: Store, ...providers: EncryptionProvider[]) => {
  const sealing = sealingOf(configuration(...providers))("", "secrets");
  return new EncryptedStore(inner, (key) => (key.startsWith("/plain") ? undefined : sealing));
};
const bytes = (text: string) => new TextEncoder().encode(text);
const put = (store: Store, key: string, text: string) => store.write({ kind: "put", key, value: bytes(text) });
const read = async (store: Store, key: string) => {
  const found = await store.get(key);
  return found && Buffer.from(found.value).toString("latin1");
};

for (const kind of ["aesgcm", "aescbc", "secretbox"] as const) {
  storeConformance(
    `a store sealed with ${kind}`,
    async () => {
      const inner = new MemoryStore({ clock: systemClock });
      return {
        store: sealed(inner, { [kind]: { keys: [{ name: "one", secret: secret() }] } }),
        dispose: () => inner.close(),
      };
    },
    5,
  );

  describe(`a value sealed with ${kind}`, () => {
    it("is not found in the engine, but its cipher's and its key's names are", async () => {
      const inner = new MemoryStore({ clock: systemClock });
      const store = sealed(inner, { [kind]: { keys: [{ name: "one", secret: secret() }] } });
      await put(store, "/secret", "the password");
      const kept = await read(inner, "/secret");
      expect(kept).toMatch(`k8s:enc:${kind}:v1:one:`);
      expect(kept).not.toMatch("password");
      expect(await read(store, "/secret")).toBe("the password");
      await put(store, "/plain", "for all to see");
      expect(await read(inner, "/plain")).toBe("for all to see");
    });

    it("cannot be read with another key, nor when it was cut", async () => {
      const inner = new MemoryStore({ clock: systemClock });
      const one = { name: "one", secret: secret() };
      await put(sealed(inner, { [kind]: { keys: [one] } }), "/secret", "the password");
      const renamed = sealed(inner, { [kind]: { keys: [{ ...one, name: "two" }] } });
      await expect(read(renamed, "/secret")).rejects.toThrow("no matching key was found");
      const other = sealed(inner, { [kind]: { keys: [{ name: "one", secret: secret() }] } });
      await expect(read(other, "/secret")).rejects.toThrow('unable to transform key "/secret"');
      const { value } = (await inner.get("/secret"))!;
      await inner.write({ kind: "put", key: "/secret", value: value.subarray(0, value.length - 1) });
      await expect(read(sealed(inner, { [kind]: { keys: [one] } }), "/secret")).rejects.toThrow("unable to transform");
    });
  });
}

describe("keys", () => {
  it("are changed by sealing with the new one while the old one still opens", async () => {
    const inner = new MemoryStore({ clock: systemClock });
    const [old, fresh] = [
      { name: "old", secret: secret() },
      { name: "new", secret: secret() },
    ];
    await put(sealed(inner, { aesgcm: { keys: [old] } }), "/secret", "a");
    const both = sealed(inner, { secretbox: { keys: [fresh] } }, { aesgcm: { keys: [old] } });
    expect(await read(both, "/secret")).toBe("a");
    await put(both, "/secret", "a");
    expect(await read(inner, "/secret")).toMatch("k8s:enc:secretbox:v1:new:");
    expect(await read(sealed(inner, { secretbox: { keys: [fresh] } }), "/secret")).toBe("a");
  });

  it("can be introduced and given up beside what is not sealed", async () => {
    const inner = new MemoryStore({ clock: systemClock });
    const key = { name: "one", secret: secret() };
    await put(inner, "/secret", "plain");
    await expect(read(sealed(inner, { aesgcm: { keys: [key] } }), "/secret")).rejects.toThrow(
      "no matching prefix found",
    );
    expect(await read(sealed(inner, { aesgcm: { keys: [key] } }, { identity: {} }), "/secret")).toBe("plain");
    await put(sealed(inner, { aesgcm: { keys: [key] } }, { identity: {} }), "/secret", "sealed");
    const leaving = sealed(inner, { identity: {} }, { aesgcm: { keys: [key] } });
    expect(await read(leaving, "/secret")).toBe("sealed");
    await put(leaving, "/secret", "open");
    expect(await read(inner, "/secret")).toBe("open");
  });

  it("do not open a value that was moved to another place", async () => {
    const inner = new MemoryStore({ clock: systemClock });
    const store = sealed(inner, { aesgcm: { keys: [{ name: "one", secret: secret() }] } });
    await put(store, "/mine", "a");
    await inner.write({ kind: "put", key: "/theirs", value: (await inner.get("/mine"))!.value });
    await expect(read(store, "/theirs")).rejects.toThrow("unable to transform");
  });
});

describe("a configuration of seals", () => {
  it.each<[string, object, string]>([
    ["nothing", { resources: [] }, "resources: Required value: at least one resource must be configured"],
    [
      "no resources",
      { resources: [{ resources: [], providers: [{ identity: {} }] }] },
      "resources[].resources must be specified",
    ],
    [
      "no providers",
      { resources: [{ resources: ["secrets"], providers: [] }] },
      "resources[].providers must be specified",
    ],
    ["every resource at once", { resources: [{ resources: ["*"], providers: [{ identity: {} }] }] }, "use '*.<group>'"],
    ["an empty provider", configuration({}), "provider does not contain any of the expected providers"],
    [
      "two in one",
      configuration({ identity: {}, aesgcm: { keys: [] } }),
      "more than one provider specified in a single element",
    ],
    ["no keys", configuration({ aesgcm: { keys: [] } }), "aesgcm.keys: Required value: keys must be specified"],
    [
      "a short key",
      configuration({ secretbox: { keys: [{ name: "a", secret: secret(16) }] } }),
      "got 16, expected one of [32]",
    ],
    ["a key service", configuration({ kms: {} } as EncryptionProvider), "key management services are not supported"],
  ])("with %s is refused", (_, wrong, expected) => {
    const errors = encryptionConfigurationErrors(wrong as EncryptionConfiguration);
    expect(errors.map(({ field, message }) => `${field}: ${message}`)).toEqual([expect.stringContaining(expected)]);
  });

  it("finds resources by name, by group and all at once", () => {
    const providers: EncryptionProvider[] = [{ identity: {} }];
    const sealing = sealingOf({
      ...configuration(),
      resources: [
        { resources: ["secrets", "deployments.apps"], providers },
        { resources: ["*.example.com", "*."], providers },
      ],
    });
    expect(sealing("", "secrets")).toBe(sealing("apps", "deployments"));
    expect(sealing("example.com", "widgets")).toBe(sealing("", "configmaps"));
    expect(sealing("apps", "replicasets")).toBeUndefined();
  });
});
