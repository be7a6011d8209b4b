/** `pinnace lab`: a lab's cluster, its steps one by one, and whether they are done. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import { ConfigMaps, Deployments, ReplicaSets } from "../../api/resources.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import type { Client } from "../../client/client.ts";
import { readWorld, why } from "../../inspect/gather.ts";
import { probeTcp } from "../../inspect/probe.ts";
import { parseTarget } from "../../inspect/target.ts";
import { type LabWorld, missingFor } from "../../learn/check-step.ts";
import {
  type LabDocument,
  type LabPlan,
  type Language,
  parseDocument,
  parseSteps,
  printStep,
  type StepChecks,
} from "../../learn/lab.ts";
import { adminClient } from "../admin-client.ts";
import type { ClusterPlan } from "../config/cluster-config.ts";
import { clusterPaths, listClusters, readJson, readPki, readPlan, writeAtomically } from "../state-folder.ts";
import { down } from "./down.ts";
import { up } from "./up.ts";
import { machineOf, runningPlan } from "./why.ts";

interface LabOptions {
  /** The script that starts `pinnace`; the documents lie beside it. */
  entry: string;
  print(line: string): void;
}

/** How far a learner is. */
interface Progress {
  lab: string;
  language: Language;
  /** How many steps were seen to be done. */
  done: number;
}

export function listLabs({ entry, print, language }: LabOptions & { language?: string }): void {
  const current = findCurrent()?.progress;
  const labs = readLabs(entry);
  const width = Math.max(...labs.map(({ name }) => name.length));
  for (const { name, steps } of labs) {
    const { title } = readDocument(entry, name, languageOf(language ?? current?.language));
    const state = current?.lab === name ? `   (${current.done}/${steps.length})` : "";
    print(`${current?.lab === name ? "*" : " "} ${name.padEnd(width)}  ${title}${state}`);
  }
}

export async function startLab(
  name: string,
  { entry, print, language, registryMirrors }: LabOptions & { language?: string; registryMirrors?: readonly string[] },
): Promise<void> {
  const plan = planOf(entry, name);
  const chosen = languageOf(language);
  const document = readDocument(entry, plan.name, chosen);
  const clusterFile = join(labsFolder(entry), document.clusterFile);
  const cluster = (parse(readFileSync(clusterFile, "utf8")) as { name: string }).name;
  await up({ name: cluster, configFile: clusterFile, registryMirrors, entry, print });
  // One lab at a time, whatever cluster the last one was on.
  for (const other of listClusters()) rmSync(progressFile(other), { force: true });
  writeProgress(cluster, { lab: plan.name, language: chosen, done: 0 });
  print(`\n# ${document.title}\n\n${document.introduction}`);
  printNext(document, plan, 0, chosen, print);
}

/** Shows the step to do; with `write` its files are put into this folder. */
export function nextStep({ entry, print, write }: LabOptions & { write: boolean }): void {
  const { progress } = current();
  const document = readDocument(entry, progress.lab, progress.language);
  printNext(document, planOf(entry, progress.lab), progress.done, progress.language, print);
  if (!write) return;
  for (const { name, content } of document.steps[progress.done]?.files ?? []) {
    if (existsSync(name) && readFileSync(name, "utf8") !== content)
      print(
        progress.language === "ko"
          ? `\n${name} 파일이 이미 있습니다. 그대로 둡니다`
          : `\n${name} is there already, and is left as it is`,
      );
    else {
      writeFileSync(name, content);
      print(`\n${name} ✓`);
    }
  }
}

/** Resolves to the exit code: 0 when the lab is done. `home`: where clusters are kept, default as for every command. */
export async function checkLab({ entry, print, home }: LabOptions & { home?: string }): Promise<number> {
  const { cluster, progress } = current(home);
  const { lab, language } = progress;
  const plan = planOf(entry, lab);
  const document = readDocument(entry, lab, language);
  const running = runningPlan(cluster, home);
  const client = await adminClient(running, readPki(clusterPaths(cluster, home))!);
  try {
    const world = await readLabWorld(client.api, running);
    let { done } = progress;
    for (let step = 0; step < done; step++) print(`  ✓ ${step + 1}. ${document.steps[step]?.title ?? ""}`);
    let missing: string[] = [];
    for (; done < plan.steps.length; done++) {
      missing = await missingNow(plan.steps[done]!, world, client.api, running, language);
      if (missing.length > 0) break;
      print(`  ✓ ${done + 1}. ${document.steps[done]?.title ?? ""}`);
    }
    writeProgress(cluster, { ...progress, done }, home);
    if (missing.length > 0) {
      print(`  ✗ ${done + 1}. ${document.steps[done]?.title ?? ""}`);
      for (const line of missing) print(`      ${line}`);
      for (let step = done + 1; step < plan.steps.length; step++)
        print(`  · ${step + 1}. ${document.steps[step]?.title ?? ""}`);
      print(
        language === "ko"
          ? '\n"pinnace lab next"는 이 단계의 내용을 보여 줍니다.'
          : '\n"pinnace lab next" shows what this step is about.',
      );
      return 1;
    }
    print(language === "ko" ? "\n실습을 마쳤습니다." : "\nThe lab is done.");
    return 0;
  } finally {
    await client.close();
  }
}

/** The lab from its beginning, on a cluster that is as new. */
export async function resetLab(options: LabOptions): Promise<void> {
  const { cluster, progress } = current();
  const mirrors = Object.entries(readPlan(clusterPaths(cluster))?.images.mirrors ?? {});
  const registryMirrors = mirrors.flatMap(([registry, urls]) => urls.map((url) => `${registry}=${url}`));
  await down({ name: cluster, print: options.print });
  await startLab(progress.lab, { ...options, language: progress.language, registryMirrors });
}

export async function stopLab({ print }: LabOptions): Promise<void> {
  await down({ name: current().cluster, print });
}

async function missingNow(
  checks: StepChecks,
  world: LabWorld,
  api: Client,
  plan: ClusterPlan,
  language: Language,
): Promise<string[]> {
  const missing = missingFor(checks, world, language);
  if (missing.length > 0) return missing;
  if (checks.listens !== undefined) {
    const { outcome } = await probeTcp({
      clock: systemClock,
      netns: undefined,
      address: "127.0.0.1",
      port: checks.listens,
    });
    if (outcome !== "connected")
      return [
        language === "ko"
          ? `이 컴퓨터의 ${checks.listens}번 포트가 대답하지 않습니다`
          : `port ${checks.listens} of this machine does not answer`,
      ];
  }
  if (checks.reaches === undefined) return [];
  const [kind, name] = checks.reaches.split("/");
  const nodePort = world.services.find(({ metadata }) => metadata.name === name)?.spec.ports?.[0]?.nodePort;
  const text = kind === "node-port" ? `svc/${name}:${nodePort}` : checks.reaches;
  const target = parseTarget(text, { namespace: "default" });
  const { verdict, fault } = await why({
    api,
    machine: machineOf(plan),
    clock: systemClock,
    target,
    namespace: "default",
    ...(kind === "node-port" ? { from: "outside" } : {}),
  });
  if (verdict !== "lost") return [];
  const place = kind === "node-port" ? `${name}:${nodePort}` : text;
  return [
    language === "ko"
      ? `${place}에 닿지 않습니다: pinnace why ${text}`
      : `${place} is not reached. ${fault?.why ?? ""}`,
    ...(fault?.remedies.slice(0, 1) ?? []),
  ];
}

async function readLabWorld(api: Client, plan: ClusterPlan): Promise<LabWorld> {
  const [world, deployments, replicaSets, configMaps] = await Promise.all([
    readWorld(api, machineOf(plan).network, "default"),
    api.list(Deployments, { namespace: "default" }),
    api.list(ReplicaSets, { namespace: "default" }),
    api.list(ConfigMaps, { namespace: "kube-system" }),
  ]);
  return { ...world, deployments: deployments.items, replicaSets: replicaSets.items, configMaps: configMaps.items };
}

function printNext(
  document: LabDocument,
  plan: LabPlan,
  done: number,
  language: Language,
  print: (line: string) => void,
): void {
  const step = document.steps[done];
  if (!step || done >= plan.steps.length) {
    print(language === "ko" ? "\n실습을 마쳤습니다." : "\nThe lab is done.");
    return;
  }
  const isColoured = process.stdout.isTTY === true && !process.env["NO_COLOR"];
  print(`\n## ${done + 1}/${document.steps.length} ${step.title}\n\n${printStep(step.text, { isColoured })}`);
  print(
    language === "ko"
      ? `\n다 했으면: pinnace lab check${step.files.length > 0 ? "   (파일을 대신 만들려면: pinnace lab next --write)" : ""}`
      : `\nWhen it is done: pinnace lab check${step.files.length > 0 ? "   (to have the files written: pinnace lab next --write)" : ""}`,
  );
}

const labsFolder = (entry: string): string => join(dirname(entry), "../../docs/labs");
const readLabs = (entry: string): LabPlan[] => parseSteps(readFileSync(join(labsFolder(entry), "steps.yaml"), "utf8"));
const readDocument = (entry: string, name: string, language: Language): LabDocument =>
  parseDocument(readFileSync(join(labsFolder(entry), language, `${name}.md`), "utf8"));

function planOf(entry: string, name: string): LabPlan {
  const labs = readLabs(entry);
  const found = labs.find((lab) => lab.name === name);
  if (!found) throw new Error(`there is no lab ${name}; there are: ${labs.map((lab) => lab.name).join(", ")}`);
  return found;
}

/** `undefined`: as the user's locale says. */
function languageOf(text: string | undefined): Language {
  // An empty variable is as good as none.
  const locale = process.env["LC_ALL"] || process.env["LC_MESSAGES"] || process.env["LANG"];
  const wanted = text ?? locale ?? "en";
  if (text !== undefined && text !== "en" && text !== "ko")
    throw new Error(`labs are written in en and ko, not in "${text}"`);
  return wanted.startsWith("ko") ? "ko" : "en";
}

const progressFile = (cluster: string, home?: string): string => join(clusterPaths(cluster, home).root, "lab.json");

function writeProgress(cluster: string, progress: Progress, home?: string): void {
  writeAtomically(progressFile(cluster, home), `${JSON.stringify(progress)}\n`, 0o644);
}

function findCurrent(home?: string): { cluster: string; progress: Progress } | undefined {
  for (const cluster of listClusters(home)) {
    const progress = readJson<Progress>(progressFile(cluster, home));
    if (progress) return { cluster, progress };
  }
  return undefined;
}

function current(home?: string): { cluster: string; progress: Progress } {
  const found = findCurrent(home);
  if (!found)
    throw new Error(
      languageOf(undefined) === "ko"
        ? '시작한 실습이 없습니다. "pinnace lab list"로 목록을 보고 "pinnace lab start 이름"으로 시작하세요'
        : 'no lab has been started; "pinnace lab list" shows them, "pinnace lab start NAME" starts one',
    );
  return found;
}
