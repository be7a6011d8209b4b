/** The `pinnace` command: its verbs, their options, and what a failure prints. Each verb's code loads only when it is called. */
import { Command, InvalidArgumentError } from "commander";
import { parseDurationMs } from "../kubectl/flags.ts";
import { pinnaceVersion } from "./version.ts";

/**
 * Runs one command line. `entry` is the script that starts `pinnace server` again. Resolves to the exit code.
 * `onWarm` is called once when a server has come up: what it ran by then is what the next one will run.
 */
export async function runCli(argv: readonly string[], entry: string, onWarm: () => void = () => {}): Promise<number> {
  let exitCode = 0;
  // `pinnace up | head`: a reader that has seen enough ends nothing. Nor does a full disk end a server for its log's sake.
  const isServer = argv[0] === "server";
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE" && !isServer) throw error;
  });
  if (isServer) process.stderr.on("error", () => {});
  const program = buildProgram(entry, onWarm, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    process.stderr.write(`${describeFailure(error)}\n`);
    return 1;
  }
  return exitCode;
}

/** What commander says of a command line, for the documents' examples: undefined when it would run. Nothing is run. */
export async function complaintAbout(argv: readonly string[]): Promise<string | undefined> {
  let complaint: string | undefined;
  const program = buildProgram(
    "",
    () => {},
    () => {},
  );
  const still = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: (text) => (complaint ??= text.trim()), writeOut: () => {} });
    if (command.commands.length === 0) command.action(() => {});
    for (const each of command.commands) still(each);
  };
  still(program);
  try {
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    complaint ??= (error as Error).message;
  }
  return complaint;
}

/** In which part of the help a command stands. */
const groups: readonly (readonly [heading: string, commands: readonly string[]])[] = [
  ["Clusters:", ["up", "down", "status", "demo", "server", "logs", "doctor"]],
  ["Work in one:", ["kubectl", "shell", "kubeconfig", "image"]],
  ["See and learn:", ["why", "map", "capture", "lab"]],
  ["Look after one:", ["token", "join", "leave", "store", "certs"]],
];

const controllersHelp =
  "controllers to run, as kube-controller-manager's flag: * for all, foo, -foo for not foo (default: *)";

function buildProgram(entry: string, onWarm: () => void, exitWith: (code: number) => void): Command {
  const print = (line: string) => void process.stdout.write(`${line}\n`);
  const program = new Command("pinnace")
    .description("Kubernetes in TypeScript: a whole cluster on one machine, with real nodes, containers and packets.")
    .version(pinnaceVersion)
    .showHelpAfterError("(run the command with --help to see its options)")
    .addHelpText(
      "after",
      `
First steps:
  pinnace up               three nodes, and kubectl speaks to them
  pinnace map              who serves whom
  pinnace why svc/NAME     where a request is lost, and what mends it
  pinnace lab list         exercises, in English and Korean
  pinnace down             nothing is left`,
    );
  const name = ["--name <name>", "which cluster", clusterName] as const;
  const autoscalerPeriod = [
    "--horizontal-pod-autoscaler-sync-period <duration>",
    "between two looks of an autoscaler at its metrics, as kube-controller-manager's flag: 5s (default: 15s)",
    positiveMs,
  ] as const;
  const registryMirror = [
    "--registry-mirror <[registry=]url>",
    "pull images through this registry first (without a name: those of docker.io); may be given several times",
    collect,
  ] as const;

  program
    .command("up")
    .description("bring a cluster up, or back, and return when it is usable")
    .option("-c, --config <file>", "the cluster configuration (YAML)")
    .option(...name)
    .option("--nodes <count>", "how many nodes, the first a control plane; 0 for a bare control plane", count)
    .option(
      "--roles <list>",
      "run only these, separated by commas: apiserver,controller-manager,scheduler,kubelet,kube-proxy,dns",
      list,
    )
    .option("--controllers <list>", controllersHelp, list)
    .option(...autoscalerPeriod)
    .option(
      "--enable-admission-plugins <list>",
      "admission plugins to switch on, beside those that are on by default",
      list,
    )
    .option("--disable-admission-plugins <list>", "admission plugins to switch off", list)
    .option(
      "--service-node-port-range <range>",
      "node ports of Services, as kube-apiserver's flag: 30000-35000; also for a cluster that is brought back",
    )
    .option(...registryMirror)
    .option("--store <engine>", "where the state is kept: lmdb, memory or etcd (default: lmdb)")
    .option("--etcd-servers <list>", "etcd's endpoints, as kube-apiserver's flag; says --store etcd as well", list)
    .option("--etcd-cafile <file>", "the authority that etcd's certificate comes from")
    .option("--etcd-certfile <file>", "the certificate shown to etcd")
    .option("--etcd-keyfile <file>", "its private key")
    .option("--timeout <seconds>", "give up after so long without progress (default: 60)", count)
    .action(async (options) => {
      const { storeFromFlags, up } = await import("./commands/up.ts");
      const { printWelcome } = await import("./commands/welcome.ts");
      const plan = await up({
        ...named(options),
        configFile: options.config,
        nodes: options.nodes,
        roles: options.roles,
        controllers: options.controllers,
        autoscalerPeriodMs: options.horizontalPodAutoscalerSyncPeriod,
        admission: { enable: options.enableAdmissionPlugins, disable: options.disableAdmissionPlugins },
        nodePortRange: options.serviceNodePortRange,
        registryMirrors: options.registryMirror,
        store: await storeFromFlags(options),
        timeoutSeconds: options.timeout,
        entry,
        print,
      });
      printWelcome(plan, print);
    });
  program
    .command("down")
    .description("end a cluster and leave nothing of it behind")
    .option(...name)
    .option("--all", "every cluster on this machine")
    .action(async (options) => {
      const { down, downAll } = await import("./commands/down.ts");
      await (options.all ? downAll(print) : down({ ...named(options), print }));
    });
  program
    .command("status")
    .description("say what runs")
    .option(...name)
    .option("-o, --output <format>", "text or json", "text")
    .action(async (options) => {
      const { status } = await import("./commands/status.ts");
      exitWith(await status({ ...named(options), output: options.output, print }));
    });
  program
    .command("server")
    .description("run a cluster's server in the foreground")
    .option("-c, --config <file>", "the cluster configuration (YAML)")
    .option(...name)
    .option("--nodes <count>", "how many nodes", count)
    .option("--roles <list>", "run only these, separated by commas", list)
    .option("--controllers <list>", controllersHelp, list)
    .option(...autoscalerPeriod)
    .option("--store <engine>", "where the state is kept: lmdb, memory or etcd (default: lmdb)")
    .option("--etcd-servers <list>", "etcd's endpoints, as kube-apiserver's flag; says --store etcd as well", list)
    .option("--etcd-cafile <file>", "the authority that etcd's certificate comes from")
    .option("--etcd-certfile <file>", "the certificate shown to etcd")
    .option("--etcd-keyfile <file>", "its private key")
    .action(async (options) => {
      const { server } = await import("./commands/server.ts");
      const { storeFromFlags } = await import("./commands/up.ts");
      exitWith(
        await server({
          ...named(options),
          configFile: options.config,
          nodes: options.nodes,
          roles: options.roles,
          controllers: options.controllers,
          autoscalerPeriodMs: options.horizontalPodAutoscalerSyncPeriod,
          store: await storeFromFlags(options),
          entry,
          onWarm,
        }),
      );
    });
  program
    .command("kubeconfig")
    .description("print the cluster's kubeconfig")
    .option(...name)
    .action(async (options) => {
      const { printKubeconfig } = await import("./commands/kubeconfig.ts");
      printKubeconfig({ ...named(options), print });
    });
  program
    .command("doctor")
    .description("check what the machine must offer, and print the line that provides what is missing")
    .action(async () => {
      const { doctor } = await import("./commands/doctor.ts");
      exitWith(await doctor(print));
    });
  program
    .command("logs")
    .description("print the server's log")
    .option(...name)
    .option("-f, --follow", "go on as it grows")
    .option("--tail <lines>", "only the last lines", count)
    .action(async (options) => {
      const { logs } = await import("./commands/logs.ts");
      await logs({ ...named(options), follow: options.follow === true, tail: options.tail });
    });
  const image = program.command("image").description("the images of this machine's clusters");
  image
    .command("pull <image>")
    .description("fetch an image from its registry")
    .option(...name)
    .action(async (reference, options) => {
      const { pullImage } = await import("./commands/image.ts");
      await pullImage(reference, named(options), print);
    });
  image
    .command("load <archive>")
    .description("take images from a docker or OCI archive")
    .option(...name)
    .action(async (archive, options) => {
      const { loadImages } = await import("./commands/image.ts");
      await loadImages(archive, named(options), print);
    });
  image
    .command("ls")
    .description("list images")
    .option(...name)
    .action(async (options) => {
      const { listImages } = await import("./commands/image.ts");
      await listImages(named(options), print);
    });
  image
    .command("rm <image...>")
    .description("remove images")
    .option(...name)
    .action(async (references, options) => {
      const { removeImages } = await import("./commands/image.ts");
      await removeImages(references, named(options), print);
    });
  // The entry file runs it, from a bundle of its own: it has to be there at once.
  program.command("kubectl").description("work on a cluster as kubectl does").argument("[arguments...]");
  program
    .command("shell [command...]")
    .description("a shell, or one command after --, with the cluster's kubectl and kubeconfig; on a node if you like")
    .addHelpText(
      "after",
      `
Examples:
  pinnace shell                                    kubectl here is the built-in one, and speaks to this cluster
  pinnace shell --node worker-1                    as if you had logged in there
  pinnace shell --node worker-1 -- curl -s 10.96.0.10`,
    )
    .option(...name)
    .option("--node <node>", "in the network of this node")
    .action(async (command, options) => {
      const { shell } = await import("./commands/shell.ts");
      exitWith(await shell(command, { ...options, entry, print }));
    });
  const token = program.command("token").description("what machines need to join the cluster as nodes");
  token
    .command("create")
    .description("let a machine join, and print the command with which it does")
    .option(...name)
    .option("--ttl <hours>", "how long it may be used, in hours; 0: always (default: 24)", count)
    .option("--description <text>", "what it is for")
    .option(
      "--server <host:port>",
      "where joining machines reach the API server (default: its address on the nodes' LAN)",
    )
    .action(async (options) => {
      const { createToken } = await import("./commands/token.ts");
      const { ttl: ttlHours, description, server } = options;
      await createToken({ ...named(options), ttlHours, description, server, print });
    });
  token
    .command("list")
    .description("list tokens")
    .option(...name)
    .action(async (options) => {
      const { listTokens } = await import("./commands/token.ts");
      await listTokens({ ...named(options), print });
    });
  token
    .command("delete <token>")
    .description("let nobody join by this token any more")
    .option(...name)
    .action(async (which, options) => {
      const { deleteToken } = await import("./commands/token.ts");
      await deleteToken(which, { ...named(options), print });
    });
  const certs = program.command("certs").description("the cluster's own certificates");
  certs
    .command("check-expiration")
    .description("say when they end; the server renews each before")
    .option(...name)
    .action(async (options) => {
      const { checkExpiration } = await import("./commands/certs.ts");
      checkExpiration({ ...named(options), print });
    });
  certs
    .command("renew")
    .description("renew them now; a running server takes them up without a restart")
    .option(...name)
    .action(async (options) => {
      const { renewCertificates } = await import("./commands/certs.ts");
      await renewCertificates({ ...named(options), print });
    });
  certs
    .command("rotate-ca")
    .description("make a new authority; joined nodes change over to it, and certificates of the old one count on")
    .option("--revoke", "refuse all certificates of the old one from then on: joined nodes must join again")
    .option(...name)
    .action(async (options) => {
      const { rotateAuthority } = await import("./commands/certs.ts");
      await rotateAuthority({ ...named(options), revoke: options.revoke === true, print });
    });
  certs
    .command("forget-former-ca")
    .description("refuse certificates of authorities that rotate-ca has replaced")
    .option(...name)
    .action(async (options) => {
      const { forgetFormer } = await import("./commands/certs.ts");
      await forgetFormer({ ...named(options), print });
    });
  certs
    .command("rotate-sa-key")
    .description("sign ServiceAccounts' tokens with a new key; those given out before count until they end")
    .option("--revoke", "refuse all tokens that were given out before")
    .option(...name)
    .action(async (options) => {
      const { rotateTokenKey } = await import("./commands/certs.ts");
      await rotateTokenKey({ ...named(options), revoke: options.revoke === true, print });
    });
  program
    .command("join [server]")
    .description("run this machine as a node of a cluster elsewhere, in the foreground")
    .option("--token <token>", "from `pinnace token create`; a node that has joined needs none to come back")
    .option("--discovery-token-ca-cert-hash <hash...>", "the hash of the cluster's authority, from the same place")
    .option("--discovery-token-unsafe-skip-ca-verification", "trust whoever knows the token")
    .option("--node-name <name>", "default: this machine's host name")
    .option("--node-ip <address>", "where the other nodes reach this one (default: its first address)")
    .option("--node-labels <labels>", "such as disk=ssd,zone=b", labels)
    .option(
      "--container-runtime-endpoint <socket>",
      "a CRI runtime's, such as unix:///run/containerd/containerd.sock (default: the built-in runtime)",
    )
    .action(async (server, options) => {
      const { joinCluster } = await import("./commands/join.ts");
      exitWith(
        await joinCluster({
          server,
          token: options.token,
          hashes: options.discoveryTokenCaCertHash,
          allowUnknownAuthority: options.discoveryTokenUnsafeSkipCaVerification,
          nodeName: options.nodeName,
          nodeAddress: options.nodeIp,
          labels: options.nodeLabels,
          runtimeEndpoint: options.containerRuntimeEndpoint,
          print,
        }),
      );
    });
  program
    .command("leave")
    .description("end this machine's time as a node: its containers, and what joining made")
    .option("--node-name <name>", "default: this machine's host name")
    .action(async (options) => {
      const { leaveCluster } = await import("./commands/join.ts");
      await leaveCluster({ nodeName: options.nodeName, print });
    });
  const store = program
    .command("store")
    .description("a cluster's state: keep it in a file, bring it back, look after it");
  store
    .command("save <file>")
    .description("write everything the API holds into one file; the cluster may run meanwhile")
    .option(...name)
    .action(async (file, options) => {
      const { saveStore } = await import("./commands/store.ts");
      await saveStore(file, { ...named(options), print });
    });
  store
    .command("restore <file>")
    .description("put what such a file holds in the place of the cluster's state; a running server is restarted")
    .option(...name)
    .action(async (file, options) => {
      const { restoreStore } = await import("./commands/store.ts");
      await restoreStore(file, { ...named(options), entry, print });
    });
  store
    .command("defragment")
    .description("give back the disk space that history took; a running server is restarted")
    .option(...name)
    .action(async (options) => {
      const { defragmentStore } = await import("./commands/store.ts");
      await defragmentStore({ ...named(options), entry, print });
    });
  store
    .command("verify")
    .description("read everything and check it against its checksums")
    .option(...name)
    .action(async (options) => {
      const { verifyStore } = await import("./commands/store.ts");
      await verifyStore({ ...named(options), print });
    });
  program
    .command("why <target>")
    .description("say at which step a request is lost, why, and what mends it; or why a pod does not run")
    .addHelpText(
      "after",
      `
A target is svc/NAME, pod/NAME, deployment/NAME (statefulset, daemonset, replicaset, job), a host name, an address with a port, or a URL.

Examples:
  pinnace why svc/web                            as a pod sees it; a NodePort or LoadBalancer Service as this machine does
  pinnace why http://web.shop/ --from pod/client
  pinnace why 10.0.2.5:30000                     a node port, from outside
  pinnace why deployment/web                     why its pods do not run`,
    )
    .option(...name)
    .option("-n, --namespace <namespace>", "of the target, and of the pod that asks (default: default)")
    .option("--from <source>", "who asks: pod/NAME, node/NAME or outside")
    .option("--port <port>", "which port of a Service or pod, by number or name")
    .option("-o, --output <format>", "text or json", "text")
    .action(async (target, options) => {
      const { whyCommand } = await import("./commands/why.ts");
      exitWith(await whyCommand(target, { ...options, print }));
    });
  program
    .command("map")
    .description("draw who serves whom: Services, their doors, and by node the pods behind them")
    .option(...name)
    .option("-n, --namespace <namespace>", "of which namespace (default: default)")
    .option("-A, --all-namespaces", "of all")
    .option("-w, --watch", "follow changes")
    .action(async (options) => {
      const { mapCommand } = await import("./commands/map.ts");
      await mapCommand({ ...options, print });
    });
  program
    .command("capture <where> [filter...]")
    .description("show packets on NODE or in pod/NAME as tcpdump does, with names beside the addresses")
    .option(...name)
    .option("-n, --namespace <namespace>", "of the pod (default: default)")
    .option("-c, --count <packets>", "end after so many", count)
    .action(async (where, filter, options) => {
      const { capture } = await import("./commands/capture.ts");
      exitWith(await capture(where, filter, { ...options, print }));
    });
  const lab = program.command("lab").description("learn by doing: exercises with a cluster of their own");
  const language = ["--lang <language>", "en or ko (default: as the locale says)"] as const;
  lab
    .command("list")
    .description("the labs, and how far one is")
    .option(...language)
    .action(async (options) => {
      const { listLabs } = await import("./commands/lab.ts");
      listLabs({ entry, print, language: options.lang });
    });
  lab
    .command("start <lab>")
    .description("bring the lab's cluster up and show its first step")
    .option(...language)
    .option(...registryMirror)
    .action(async (labName, options) => {
      const { startLab } = await import("./commands/lab.ts");
      await startLab(labName, { entry, print, language: options.lang, registryMirrors: options.registryMirror });
    });
  lab
    .command("next")
    .description("show the step to do")
    .option("--write", "put its files into this folder")
    .action(async (options) => {
      const { nextStep } = await import("./commands/lab.ts");
      nextStep({ entry, print, write: options.write === true });
    });
  lab
    .command("check")
    .description("look at the cluster: which steps are done, and what is missing")
    .action(async () => {
      const { checkLab } = await import("./commands/lab.ts");
      exitWith(await checkLab({ entry, print }));
    });
  lab
    .command("reset")
    .description("begin the lab again, on a new cluster")
    .action(async () => {
      const { resetLab } = await import("./commands/lab.ts");
      await resetLab({ entry, print });
    });
  lab
    .command("stop")
    .description("end the lab and its cluster")
    .action(async () => {
      const { stopLab } = await import("./commands/lab.ts");
      await stopLab({ entry, print });
    });
  program
    .command("demo")
    .description("install what is missing, bring a cluster up, and show a Service share out its traffic")
    .option(...name)
    .action(async (options) => {
      const { demo } = await import("./commands/demo.ts");
      await demo({ ...named(options), entry, print });
    });
  program
    .command("dns-standby", { hidden: true })
    .argument("<folder>")
    .action(async (folder) => {
      const { dnsStandby } = await import("./commands/dns-standby.ts");
      await dnsStandby(folder);
    });
  for (const command of program.commands)
    command.helpGroup(groups.find(([, names]) => names.includes(command.name()))?.[0] ?? "Others:");
  program.helpCommand("help [command]", "what a command takes").configureHelp({
    subcommandTerm: (command) =>
      [
        command.name(),
        ...command.registeredArguments.map((argument) =>
          argument.required ? `<${argument.name()}>` : `[${argument.name()}]`,
        ),
      ].join(" "),
  });
  return program;
}

function named(options: { name?: string }): { name?: string } {
  return options.name === undefined ? {} : { name: options.name };
}

function count(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError("expected a whole number.");
  return Number(text);
}

/** Go's durations, in milliseconds. */
function positiveMs(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms < 1) throw new InvalidArgumentError("expected a duration, such as 5s or 1m30s.");
  return ms;
}

/** As in the configuration file; it names folders, namespaces and links. */
function clusterName(text: string): string {
  if (!/^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$/.test(text))
    throw new InvalidArgumentError('Use 1 to 20 lower-case letters, digits and inner hyphens, such as "lab-1".');
  return text;
}

function labels(text: string): Record<string, string> {
  return Object.fromEntries(
    list(text).map((pair): [string, string] => {
      const [key = "", value = "", ...rest] = pair.split("=");
      if (!key || rest.length > 0) throw new InvalidArgumentError("expected key=value pairs, separated by commas.");
      return [key, value];
    }),
  );
}

function collect(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text];
}

function list(text: string): string[] {
  return text.split(",").map((item) => item.trim());
}

/** A mistake gets its sentence; only what nobody foresaw gets a stack. */
function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return `pinnace: ${String(error)}`;
  const isBug = error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError;
  if (isBug) return `pinnace: ${error.stack}`;
  const advice = adviceFor((error as NodeJS.ErrnoException).code);
  return `pinnace: ${error.message}${advice ? `; ${advice}` : ""}`;
}

/** For what any command may meet when it touches a file. */
function adviceFor(code: string | undefined): string | undefined {
  if (code === "ENOSPC" || code === "EDQUOT")
    return "free some space there, or set PINNACE_HOME to a folder on another disk";
  if (code === "EROFS") return "set PINNACE_HOME to a folder that can be written";
  if (code === "EACCES" || code === "EPERM")
    return "run the same command with sudo, or set PINNACE_HOME to a folder that this user may write";
  return undefined;
}
