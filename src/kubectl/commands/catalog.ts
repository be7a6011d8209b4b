/** Every verb; each one's code loads only when it is called. */
import type { Command, CommandGroup } from "../command.ts";

export const commands: Readonly<Record<string, () => Promise<Command | CommandGroup>>> = {
  annotate: async () => (await import("./label.ts")).annotate,
  apply: async () => (await import("./apply.ts")).apply,
  attach: async () => (await import("./exec.ts")).attach,
  autoscale: async () => (await import("./scale.ts")).autoscale,
  create: async () => (await import("./create.ts")).create,
  delete: async () => (await import("./delete.ts")).deleteCommand,
  describe: async () => (await import("./describe.ts")).describe,
  exec: async () => (await import("./exec.ts")).exec,
  expose: async () => (await import("./expose.ts")).expose,
  get: async () => (await import("./get.ts")).get,
  label: async () => (await import("./label.ts")).label,
  logs: async () => (await import("./logs.ts")).logs,
  patch: async () => (await import("./patch.ts")).patch,
  replace: async () => (await import("./patch.ts")).replace,
  rollout: async () => (await import("./rollout.ts")).rollout,
  run: async () => (await import("./run.ts")).run,
  scale: async () => (await import("./scale.ts")).scale,
  set: async () => (await import("./set.ts")).set,
};
