/** A small driver for dynamic resources, served over gRPC as real ones are: each claim is one CDI device, with a variable, a file and a device. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { registration } from "../grpc/registration-api.ts";
import { type GrpcBook, type GrpcHandler, serveGrpc } from "../grpc/server.fixture.ts";
import { type DraService, healthServices, prepareResources, unprepareResources, watchResources } from "./dra-api.ts";

export interface TestDraDriver extends GrpcBook {
  /** Tells those who listen how the device of every claim is. 1: healthy, 2: unhealthy. */
  report(health: number, message?: string): void;
  /** Its sockets are gone when it has stopped. */
  stop(): Promise<void>;
}

export interface TestDraDriverOptions {
  name: string;
  registrationFolder: string;
  /** Its own: sockets, and files that containers get to see. */
  folder: string;
  /** Where it describes its devices. */
  cdiFolder: string;
  service?: DraService;
}

interface Asked {
  claims: { namespace: string; name: string; uid: string }[];
}

export async function startDraDriver(options: TestDraDriverOptions): Promise<TestDraDriver> {
  const { name, registrationFolder, folder, cdiFolder, service = "v1.DRAPlugin" } = options;
  const endpoint = join(folder, "dra.sock");
  const registrationSocket = join(registrationFolder, `${name}-reg.sock`);
  const kind = `${name}/claim`;
  const specPath = (uid: string) => join(cdiFolder, `${name}-${uid}.json`);
  mkdirSync(cdiFolder, { recursive: true });

  function describe({ name: claim, uid }: Asked["claims"][number]): string {
    const file = join(folder, `${uid}.txt`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, `for ${claim}\n`);
    const containerEdits = {
      env: [`CLAIMED=${claim}`],
      deviceNodes: [{ path: "/dev/claimed", hostPath: "/dev/zero" }],
      mounts: [{ hostPath: file, containerPath: "/claimed.txt", options: ["ro"] }],
    };
    const spec = { cdiVersion: "0.6.0", kind, devices: [{ name: uid, containerEdits }] };
    writeFileSync(specPath(uid), JSON.stringify(spec));
    return `${kind}=${uid}`;
  }

  const handlers: GrpcHandler[] = [
    {
      method: registration.getInfo,
      answer: () => ({ type: "DRAPlugin", name, endpoint, supported_versions: [service, healthServices[1]] }),
    },
    { method: registration.notify, answer: () => ({}) },
    {
      method: prepareResources(service),
      answer: ({ claims }: Asked) => ({
        claims: Object.fromEntries(
          claims.map((claim) => [
            claim.uid,
            { devices: [{ pool_name: "pool", device_name: "one", cdi_device_ids: [describe(claim)] }] },
          ]),
        ),
      }),
    },
    {
      method: unprepareResources(service),
      answer({ claims }: Asked) {
        for (const { uid } of claims) rmSync(specPath(uid), { force: true });
        return { claims: Object.fromEntries(claims.map(({ uid }) => [uid, {}])) };
      },
    },
  ];
  const listeners: ((answer: object) => void)[] = [];
  handlers.push({ method: watchResources(healthServices[1]), stream: (send) => listeners.push(send) });
  const driver: TestDraDriver = { calls: [], refuse: undefined, stop, report };
  const server = serveGrpc([endpoint, registrationSocket], handlers, driver);

  function report(health: number, message = ""): void {
    const device = { pool_name: "pool", device_name: "one" };
    for (const send of listeners) send({ devices: [{ device, health, message }] });
  }

  async function stop(): Promise<void> {
    await server.stop();
    rmSync(registrationSocket, { force: true });
  }

  return driver;
}
