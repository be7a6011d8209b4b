/** Where a node keeps what belongs to its pods: the layout of upstream's /var/lib/kubelet and /var/log/pods. */
import { join } from "node:path";
import type { PodObject } from "./pod-state.ts";

export interface NodeFolders {
  /** Pod folders: volumes, hosts files, termination logs. */
  root: string;
  /** On a file system in memory where the machine has one: Secrets and tokens. */
  volatile: string;
  /** Container logs. */
  logs: string;
}

export interface PodFolders {
  root: string;
  volatile: string;
  logs: string;
}

export function podFolders(node: NodeFolders, pod: PodObject): PodFolders {
  const { name, namespace, uid } = pod.metadata;
  return { ...podFoldersByUid(node, uid), logs: join(node.logs, `${namespace}_${name}_${uid}`) };
}

/** For a pod of which only the uid is known. */
export function podFoldersByUid(node: NodeFolders, uid: string): Omit<PodFolders, "logs"> {
  return { root: join(node.root, "pods", uid), volatile: join(node.volatile, "pods", uid) };
}

export function containerLogPath(folders: PodFolders, container: string, attempt: number): string {
  return join(folders.logs, container, `${attempt}.log`);
}
