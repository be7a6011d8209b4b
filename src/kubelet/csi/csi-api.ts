/** The Container Storage Interface's node side, by its field numbers: what this kubelet uses of it. */
import type { Method } from "../grpc/channel.ts";
import { flag, int, list, type Message, map, message, part, text } from "../grpc/message.ts";

const empty = message({});

const volumeCapability = message({
  block: part(1, message({})),
  mount: part(2, message({ fs_type: text(1), mount_flags: list(text(2)), volume_mount_group: text(3) })),
  access_mode: part(3, message({ mode: int(1) })),
});

/** ReadWriteOnce and its like, as CSI numbers them. */
export const accessModes: Readonly<Record<string, number>> = {
  ReadWriteOnce: 1,
  ReadOnlyMany: 3,
  ReadWriteMany: 5,
  ReadWriteOncePod: 6,
};

export const nodeCapability = { stageUnstageVolume: 1, expandVolume: 3, volumeMountGroup: 6 } as const;

function nodeMethod<In extends Message, Out extends Message>(
  name: string,
  request: In,
  response: Out,
): Method<In, Out> {
  return { path: `/csi.v1.Node/${name}`, request, response };
}

export const csi = {
  getInfo: nodeMethod(
    "NodeGetInfo",
    empty,
    message({
      node_id: text(1),
      max_volumes_per_node: int(2),
      accessible_topology: part(3, message({ segments: map(1) })),
    }),
  ),
  getCapabilities: nodeMethod(
    "NodeGetCapabilities",
    empty,
    message({ capabilities: list(part(1, message({ rpc: part(1, message({ type: int(1) })) }))) }),
  ),
  stageVolume: nodeMethod(
    "NodeStageVolume",
    message({
      volume_id: text(1),
      publish_context: map(2),
      staging_target_path: text(3),
      volume_capability: part(4, volumeCapability),
      secrets: map(5),
      volume_context: map(6),
    }),
    empty,
  ),
  unstageVolume: nodeMethod("NodeUnstageVolume", message({ volume_id: text(1), staging_target_path: text(2) }), empty),
  publishVolume: nodeMethod(
    "NodePublishVolume",
    message({
      volume_id: text(1),
      publish_context: map(2),
      staging_target_path: text(3),
      target_path: text(4),
      volume_capability: part(5, volumeCapability),
      readonly: flag(6),
      secrets: map(7),
      volume_context: map(8),
    }),
    empty,
  ),
  expandVolume: nodeMethod(
    "NodeExpandVolume",
    message({
      volume_id: text(1),
      volume_path: text(2),
      capacity_range: part(3, message({ required_bytes: int(1) })),
      staging_target_path: text(4),
      volume_capability: part(5, volumeCapability),
      secrets: map(6),
    }),
    message({ capacity_bytes: int(1) }),
  ),
  unpublishVolume: nodeMethod("NodeUnpublishVolume", message({ volume_id: text(1), target_path: text(2) }), empty),
};
