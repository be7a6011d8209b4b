// Records docs/session.md: drives the commands in a terminal (tmux) as a user would, and keeps what stands on the screen.
// `node scripts/record-session.mjs [file]`, as root, after a build. Its clusters have a home of their own, and go down at the end.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const target = process.argv[2] ?? "docs/session.md";

/** What is said before a screen, what is typed, and how many lines of the screen are worth their place. */
const scenes = [
  [
    "`npm start` brings a cluster up and shows a Service share out its traffic. Here is what it runs, `pinnace demo`.",
    "pinnace demo",
  ],
  ["From here on `kubectl` speaks to it.", "kubectl get nodes,pods,services -o wide | cut -c1-110"],
  ["Who serves whom.", "pinnace map"],
  ["A request, followed from its Service to the socket that answers.", "pinnace why svc/echo"],
  ["Now the Service's selector is mistyped.", `kubectl patch service echo -p '{"spec":{"selector":{"app":"ecco"}}}'`],
  ["Nobody answers any more. Why?", "pinnace why svc/echo"],
  ["The command that it names mends it.", "kubectl set selector service echo app=echo; pinnace why svc/echo | tail -1"],
  [
    "A pod that does not run is explained in the same way.",
    "kubectl run typo --image=pinnace.local/ecco:1; sleep 3; pinnace why pod/typo",
  ],
  [
    "Packets, with names beside the addresses, and where they were sent instead.",
    "kubectl run client --image=busybox -- sleep 3600; kubectl wait --for=condition=Ready pod/client; (sleep 2; kubectl exec client -- wget -q -O /dev/null http://echo) & pinnace capture pod/client -c 8 tcp or udp port 53",
  ],
  ["The labs, each with a cluster of its own.", "pinnace lab list | head -12"],
  ["One of them, in Korean.", "pinnace lab start replica-set --lang ko | tail -50"],
  ["It looks at the cluster to say what is missing.", "pinnace lab check"],
  [
    "Its files need not be typed.",
    "cd $(mktemp -d); pinnace lab next --write | tail -1; kubectl apply -f replicaset.yaml; sleep 3; pinnace lab check",
  ],
  ["The end: nothing is left.", "pinnace lab stop; pinnace down"],
];

const home = mkdtempSync(join(tmpdir(), "pinnace-session-"));
const session = `pinnace-session-${process.pid}`;
const tmux = (...args) => execFileSync("tmux", args, { encoding: "utf8" });
const command = join(process.cwd(), "dist/bin/pinnace.mjs");
const pages = [
  "# A session",
  "",
  "What a terminal shows, from the first command to the last. `node scripts/record-session.mjs` records it anew.",
];
try {
  tmux("new-session", "-d", "-s", session, "-x", "120", "-y", "200", "bash --norc --noprofile");
  await type(
    `export PINNACE_HOME=${home} KUBECONFIG=${home}/kubeconfig PS1='$ ' HISTFILE=; pinnace() { node ${command} "$@"; }; set +m`,
  );
  for (const [words, line] of scenes) {
    const screen = await type(line);
    console.log(screen);
    pages.push("", words, "", "```text", screen, "```");
  }
  writeFileSync(target, `${pages.join("\n")}\n`);
} finally {
  execFileSync(process.execPath, [command, "down", "--all"], { env: { ...process.env, PINNACE_HOME: home } });
  tmux("kill-session", "-t", session);
  rmSync(home, { recursive: true, force: true });
}

/** Types a line and waits for the prompt to come back. Resolves to the screen without that last prompt. */
async function type(line) {
  tmux("send-keys", "-t", session, "clear", "Enter");
  await sleep(300);
  tmux("clear-history", "-t", session);
  tmux("send-keys", "-t", session, "-l", line);
  tmux("send-keys", "-t", session, "Enter");
  for (;;) {
    await sleep(500);
    const rows = tmux("capture-pane", "-p", "-J", "-t", session)
      .split("\n")
      .map((row) => row.trimEnd())
      .join("\n")
      .trimEnd()
      .split("\n");
    if (rows.length > 1 && rows.at(-1) === "$") return rows.slice(0, -1).join("\n").trimEnd();
  }
}
