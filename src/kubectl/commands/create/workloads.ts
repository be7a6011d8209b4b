/** `kubectl create deployment`, `job` and `cronjob`. */
import type { Unstructured } from "../../api.ts";
import type { Invocation } from "../../command.ts";
import { CommandError } from "../../command-error.ts";
import type { Flag } from "../../flags.ts";
import { containerNameOf, objectOf, podTemplate } from "../../generators.ts";
import { fetchNamed } from "../../targets.ts";
import type { Generators } from "./generator.ts";

const imageFlag: Flag = { name: "image", kind: "string", help: "the image to run" };

export const workloads: Generators = {
  deployment: {
    summary: "Create a deployment with the specified name",
    usage: "NAME --image=image -- [COMMAND] [args...]",
    flags: [
      { name: "image", kind: "list", help: "an image to run; may be repeated" },
      { name: "replicas", short: "r", kind: "int", default: 1, help: "how many pods" },
      { name: "port", kind: "int", default: -1, help: "the port that the containers expose" },
    ],
    failure: "failed to create deployment",
    takesCommand: true,
    make({ flags }, name, command) {
      const images = flags.commaList("image");
      if (images.length === 0) throw new CommandError('required flag(s) "image" not set');
      if (images.length > 1 && command.length > 0) {
        throw new CommandError("cannot specify multiple --image options and command");
      }
      const labels = { app: name };
      const port = flags.number("port");
      const containers = images.map((image) => ({
        ...containerOf(image, containerNameOf(image), command),
        ...(port >= 0 ? { ports: [{ containerPort: port }] } : {}),
      }));
      return {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name, labels },
        spec: {
          replicas: flags.number("replicas"),
          selector: { matchLabels: labels },
          strategy: {},
          template: podTemplate(labels, { containers }),
        },
      };
    },
  },
  job: {
    summary: "Create a job with the specified name",
    usage: "NAME --image=image [--from=cronjob/name] -- [COMMAND] [args...]",
    flags: [imageFlag, { name: "from", kind: "string", help: "cronjob/NAME to take the job from" }],
    failure: "failed to create job",
    takesCommand: true,
    make(invocation, name, command) {
      const { flags } = invocation;
      const [image, from] = [flags.string("image"), flags.string("from")];
      if ((image === "") === (from === "")) throw new CommandError("either --image or --from must be specified");
      if (from && command.length > 0) throw new CommandError("cannot specify --from and command");
      if (from) return jobFromCronJob(invocation, name, from);
      return objectOf("batch/v1", "Job", name, {
        spec: { template: { spec: { containers: [containerOf(image, name, command)], restartPolicy: "Never" } } },
      });
    },
  },
  cronjob: {
    summary: "Create a cron job with the specified name",
    usage: "NAME --image=image --schedule='0/5 * * * ?' -- [COMMAND] [args...] [flags]",
    flags: [
      imageFlag,
      { name: "schedule", kind: "string", help: "when, as a cron line" },
      { name: "restart", kind: "string", default: "OnFailure", help: "the pods' restart policy" },
    ],
    failure: "failed to create cronjob",
    takesCommand: true,
    make({ flags }, name, command) {
      const missing = ["image", "schedule"].filter((flag) => !flags.string(flag));
      if (missing.length > 0) {
        throw new CommandError(`required flag(s) ${missing.map((flag) => JSON.stringify(flag)).join(", ")} not set`);
      }
      const containers = [containerOf(flags.string("image"), name, command)];
      const template = { spec: { containers, restartPolicy: flags.string("restart") } };
      return objectOf("batch/v1", "CronJob", name, {
        spec: { jobTemplate: { metadata: { name }, spec: { template } }, schedule: flags.string("schedule") },
      });
    },
  },
};

function containerOf(image: string, name: string, command: readonly string[]) {
  return { name, image, ...(command.length > 0 ? { command: [...command] } : {}), resources: {} };
}

/** The job that the CronJob would make, now. */
async function jobFromCronJob({ session, flags }: Invocation, name: string, from: string): Promise<Unstructured> {
  const found = await fetchNamed(session, flags, [from]);
  const [{ object } = { object: undefined }] = found;
  if (found.length !== 1 || object?.kind !== "CronJob") throw new CommandError("from must be an existing cronjob");
  const { jobTemplate } = object["spec"] as { jobTemplate: { metadata?: Record<string, unknown>; spec: unknown } };
  const { annotations, labels } = (jobTemplate.metadata ?? {}) as Record<string, Record<string, string>>;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name,
      annotations: { "cronjob.kubernetes.io/instantiate": "manual", ...annotations },
      ...(labels ? { labels } : {}),
      ownerReferences: [
        {
          apiVersion: "batch/v1",
          kind: "CronJob",
          name: object.metadata.name,
          uid: object.metadata.uid!,
          controller: true,
        },
      ] as unknown as NonNullable<Unstructured["metadata"]["ownerReferences"]>,
    },
    spec: jobTemplate.spec,
  };
}
