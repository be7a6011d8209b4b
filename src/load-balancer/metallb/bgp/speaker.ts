/** Has nodes announce the addresses of Services to BGP peers (MetalLB's speakers in BGP mode, those of all local nodes in one). */

import type { Secret } from "../../../api/core/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";
import { EndpointSlices, Nodes, Secrets, Services } from "../../../api/resources.ts";
import { connectIn } from "../../../base/node/netns.ts";
import { type ObjectKey, objectKey } from "../../../controller-runtime/cache.ts";
import type { ControllerProcess, ProcessContext } from "../../../controller-runtime/controller.ts";
import { slicesByService } from "../../../controller-runtime/service-indexes.ts";
import { heldAddresses } from "../allocate.ts";
import {
  BFDProfiles,
  BGPAdvertisements,
  type BGPPeer,
  BGPPeers,
  Communities,
  IPAddressPools,
  metallbNamespace,
} from "../kinds.ts";
import type { Member } from "../membership.ts";
import { readPools } from "../pools.ts";
import { isPeerOf, parseSeconds, planRoutes, type RouteView } from "./plan-routes.ts";
import { BgpSession } from "./session.ts";

export interface BgpSpeakerOptions {
  nodes: readonly Member[];
}

const defaultHoldTimeSeconds = 90;
const shortestHoldTimeSeconds = 3;

export function bgpSpeaker(options: BgpSpeakerOptions): ControllerProcess {
  return {
    name: "metallb-bgp-speaker",
    eventSource: "metallb-speaker",
    run: (context) => new Speaker(options, context).run(),
  };
}

interface OpenSession {
  session: BgpSession;
  /** What it was opened with: another peer means another session. */
  settings: string;
  stop: AbortController;
  done: Promise<void>;
}

class Speaker {
  readonly #options: BgpSpeakerOptions;
  readonly #context: ProcessContext;
  /** By node and peer. */
  readonly #sessions = new Map<string, OpenSession>();
  readonly #told = new Map<string, string>();
  #isDirty = true;
  #wake: (() => void) | undefined;

  constructor(options: BgpSpeakerOptions, context: ProcessContext) {
    this.#options = options;
    this.#context = context;
  }

  async run(): Promise<void> {
    const { cache, signal, log } = this.#context;
    const changed = () => {
      this.#isDirty = true;
      this.#wake?.();
    };
    // Nothing else is followed before there is somebody to speak to.
    cache.informer(BGPPeers).addHandler(changed);
    await cache.synced();
    let isFollowing = false;
    let isFollowingSecrets = false;
    while (!signal.aborted) {
      if (this.#isDirty) {
        this.#isDirty = false;
        if (!isFollowing && cache.list(BGPPeers).length > 0) {
          isFollowing = true;
          await this.#follow(changed);
        }
        if (!isFollowingSecrets && cache.list(BGPPeers).some(({ spec }) => spec.passwordSecret?.name)) {
          isFollowingSecrets = true;
          cache.informer(Secrets).addHandler(({ object: { metadata } }) => {
            if (cache.list(BGPPeers).some((peer) => secretOf(peer) === objectKey(metadata.name, metadata.namespace)))
              changed();
          });
          await cache.synced();
        }
        try {
          this.#pass();
        } catch (error) {
          log.error("BGP peers not brought up to date", { error });
        }
      }
      await this.#change(signal);
    }
    await Promise.all([...this.#sessions.values()].map(({ done }) => done));
  }

  async #follow(changed: () => void): Promise<void> {
    const { cache } = this.#context;
    const slices = cache.informer(EndpointSlices);
    slices.addIndex(slicesByService);
    for (const resource of [IPAddressPools, BGPAdvertisements, Communities, BFDProfiles] as const)
      cache.informer(resource as typeof Communities).addHandler(changed);
    cache.informer(Services).addHandler(({ object, previous }) => {
      if (heldAddresses(object).length > 0 || (previous && heldAddresses(previous).length > 0)) changed();
    });
    slices.addHandler(({ object: { metadata } }) => {
      const name = metadata.labels?.["kubernetes.io/service-name"];
      const service = name && cache.get(Services, objectKey(name, metadata.namespace));
      if (service && heldAddresses(service).length > 0) changed();
    });
    cache.informer(Nodes).addHandler(({ object, previous }) => {
      const facts = ({ metadata, status }: typeof object) =>
        JSON.stringify([metadata.labels, status.conditions?.find(({ type }) => type === "NetworkUnavailable")?.status]);
      if (!previous || facts(object) !== facts(previous)) changed();
    });
    await cache.synced();
  }

  #pass(): void {
    const { cache } = this.#context;
    const nodes = this.#options.nodes.flatMap((member) => {
      const node = cache.get(Nodes, objectKey(member.name));
      return node ? [{ member, node, address: member.address }] : [];
    });
    const poolObjects = cache.list(IPAddressPools);
    const view: RouteView = {
      pools: readPools(poolObjects).pools,
      poolObjects,
      advertisements: cache.list(BGPAdvertisements),
      communities: cache.list(Communities),
      nodes,
      services: cache
        .list(Services)
        .filter((service) => service.spec.type === "LoadBalancer" && !service.spec.loadBalancerClass)
        .filter((service) => heldAddresses(service).length > 0)
        .map((service) => ({
          service,
          slices: cache.byIndex(
            EndpointSlices,
            slicesByService.name,
            `${service.metadata.namespace}/${service.metadata.name}`,
          ),
        })),
    };
    const wanted = new Set<string>();
    const profiles = new Set(cache.list(BFDProfiles).map(({ metadata }) => metadata.name));
    for (const peer of cache.list(BGPPeers)) {
      const secretKey = secretOf(peer);
      const secret = secretKey && cache.get(Secrets, secretKey);
      const mistake = mistakeIn(peer, { secret, profiles });
      if (mistake) {
        this.#tell(peer, mistake);
        continue;
      }
      this.#told.delete(peer.metadata.uid);
      const password = secret ? passwordIn(secret) : peer.spec.password;
      for (const each of nodes) {
        if (!isPeerOf(each.node, peer)) continue;
        const key = `${each.member.name} ${peer.metadata.name}`;
        wanted.add(key);
        this.#open(key, each.member, peer, password).announce(planRoutes(each, peer.metadata.name, view));
      }
    }
    for (const [key, { stop }] of this.#sessions) {
      if (wanted.has(key)) continue;
      stop.abort();
      this.#sessions.delete(key);
    }
  }

  #open(key: string, node: Member, peer: DeepReadonly<BGPPeer>, password: string | undefined): BgpSession {
    const { clock, signal, log, events } = this.#context;
    const { spec, metadata } = peer;
    const known = this.#sessions.get(key);
    const settings = JSON.stringify([spec, password]);
    if (known?.settings === settings) return known.session;
    known?.stop.abort();
    const stop = new AbortController();
    const keepaliveSeconds = parseSeconds(spec.keepaliveTime);
    const about = { node: node.name, peer: metadata.name };
    const session = new BgpSession({
      myAsn: spec.myASN,
      peerAsn: spec.peerASN,
      routerId: spec.routerID ?? node.address,
      holdTimeSeconds: parseSeconds(spec.holdTime) ?? defaultHoldTimeSeconds,
      ...(keepaliveSeconds !== undefined ? { keepaliveSeconds } : {}),
      connect: () =>
        connectIn(node.netnsPath, spec.peerAddress, spec.peerPort ?? 179, password ? { md5Key: password } : {}),
      clock,
      signal: AbortSignal.any([signal, stop.signal]),
      onState(isUp, reason) {
        if (isUp) {
          log.info("BGP session established", about);
          events.event(peer, "Normal", "SessionUp", `node "${node.name}" speaks BGP with ${spec.peerAddress}`);
        } else {
          log.warn("BGP session down", { ...about, reason });
          events.event(peer, "Warning", "SessionDown", `node "${node.name}" and ${spec.peerAddress}: ${reason}`);
        }
      },
    });
    this.#sessions.set(key, { session, settings, stop, done: session.run() });
    return session;
  }

  #tell(peer: DeepReadonly<BGPPeer>, message: string): void {
    if (this.#told.get(peer.metadata.uid) === message) return;
    this.#told.set(peer.metadata.uid, message);
    this.#context.events.event(peer, "Warning", "ConfigError", message);
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#wake = undefined;
        signal.removeEventListener("abort", done);
        resolve();
      };
      if (this.#isDirty || signal.aborted) return done();
      this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }
}

/** The Secret that holds the peer's password. */
function secretOf({ spec: { passwordSecret } }: DeepReadonly<BGPPeer>): ObjectKey | undefined {
  return passwordSecret?.name
    ? objectKey(passwordSecret.name, passwordSecret.namespace || metallbNamespace)
    : undefined;
}

function passwordIn({ data }: DeepReadonly<Secret>): string {
  return Buffer.from(data?.["password"] ?? "", "base64").toString();
}

/** Why nobody speaks to a peer; undefined when somebody does. */
function mistakeIn(
  peer: DeepReadonly<BGPPeer>,
  { secret, profiles }: { secret: DeepReadonly<Secret> | undefined; profiles: ReadonlySet<string> },
): string | undefined {
  const { spec, metadata } = peer;
  const secretKey = secretOf(peer);
  if (secretKey) {
    if (spec.password) return `can not have both password and secret ref set in peer config "${metadata.name}"`;
    if (!secret) return `secret ref not found for peer config "${metadata.name}": ${secretKey}`;
    if (secret.type !== basicAuth) return `secret type mismatch on "${secretKey}", type "${basicAuth}" is expected`;
    if (!passwordIn(secret)) return `password not specified in the secret "${secretKey}"`;
  }
  const password = secret ? passwordIn(secret) : (spec.password ?? "");
  if (Buffer.byteLength(password) > 80) return "invalid password: must be no longer than 80 bytes";
  if (spec.bfdProfile && !profiles.has(spec.bfdProfile))
    return `peer "${metadata.name}" referencing non existing bfd profile "${spec.bfdProfile}"`;
  if (spec.peerAddress.includes(":")) return "peers with an IPv6 address are not supported";
  for (const [field, text] of [
    ["holdTime", spec.holdTime],
    ["keepaliveTime", spec.keepaliveTime],
  ] as const) {
    if (text !== undefined && parseSeconds(text) === undefined) return `invalid ${field} ${JSON.stringify(text)}`;
  }
  const hold = parseSeconds(spec.holdTime);
  if (hold !== undefined && hold !== 0 && hold < shortestHoldTimeSeconds)
    return `invalid hold time ${JSON.stringify(spec.holdTime)}: must be 0 or >=3s`;
  return undefined;
}

const basicAuth = "kubernetes.io/basic-auth";
