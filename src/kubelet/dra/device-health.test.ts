import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { silentLogger } from "../../base/logger.ts";
import { SteppedClock } from "../../base/stepped-clock.ts";
import { GrpcChannel } from "../grpc/channel.ts";
import { serveGrpc } from "../grpc/server.fixture.ts";
import { DeviceHealth } from "./device-health.ts";
import { watchResources } from "./dra-api.ts";

const service = "v1alpha1.DRAResourceHealth";

test("what a driver tells of its devices holds until it is too old, or the driver has gone", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pnt-health-"));
  const clock = new SteppedClock();
  let changes = 0;
  const health = new DeviceHealth({ clock, log: silentLogger, onChange: () => changes++ });
  const listeners: ((answer: object) => void)[] = [];
  const method = watchResources(service);
  const socket = join(folder, "s");
  const server = serveGrpc([socket], [{ method, stream: (send) => listeners.push(send) }], {
    calls: [],
    refuse: undefined,
  });
  const channel = new GrpcChannel(socket, clock);
  const stop = new AbortController();
  const watching = health.watch("d", channel, service, stop.signal);
  const report = (name: string, state: number, message = "", seconds = 0) =>
    listeners.at(-1)!({
      devices: [
        {
          device: { pool_name: "p", device_name: name },
          health: state,
          message,
          health_check_timeout_seconds: seconds,
        },
      ],
    });
  try {
    expect(health.of("d", "p", "a")).toEqual({ health: "Unknown" });
    await vi.waitUntil(() => listeners.length > 0);
    report("a", 1);
    await vi.waitUntil(() => changes === 1);
    expect(health.of("d", "p", "a")).toEqual({ health: "Healthy" });
    report("a", 1);
    report("b", 2, "x".repeat(2000), 5);
    await vi.waitUntil(() => changes === 2);
    expect(health.of("d", "p", "b")).toEqual({ health: "Unhealthy", message: `${"x".repeat(1021)}...` });
    await clock.advance(6000);
    expect(changes).toBe(3);
    expect([health.of("d", "p", "a"), health.of("d", "p", "b")]).toEqual([
      { health: "Healthy" },
      { health: "Unknown" },
    ]);
    await clock.advance(30_000);
    expect([changes, health.of("d", "p", "a")]).toEqual([4, { health: "Unknown" }]);
    report("a", 1);
    await vi.waitUntil(() => changes === 5);
    stop.abort();
    await watching;
    expect([changes, health.of("d", "p", "a")]).toEqual([6, { health: "Unknown" }]);
  } finally {
    stop.abort();
    channel.close();
    await server.stop();
    rmSync(folder, { recursive: true });
  }
});
