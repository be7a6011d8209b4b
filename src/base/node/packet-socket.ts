/** Sends whole Ethernet frames from one link of a namespace. Receives none. */
import { check, libc } from "./libc.ts";
import { inNetns } from "./netns.ts";

export class PacketSocket {
  readonly #fd: number;

  /** `linkIndex` is that of the link inside the namespace. */
  constructor(netnsPath: string, linkIndex: number) {
    this.#fd = inNetns(netnsPath, () => {
      // Protocol 0: the kernel queues nothing for a socket that only speaks.
      const fd = check(libc().socket(afPacket, sockRaw | sockCloexec, 0), "socket", "(packet)");
      const name = Buffer.alloc(20);
      name.writeUInt16LE(afPacket, 0);
      name.writeInt32LE(linkIndex, 4);
      try {
        check(libc().bind(fd, name, name.length), "bind", `(packet, link ${linkIndex})`);
        return fd;
      } catch (error) {
        libc().close(fd);
        throw error;
      }
    });
  }

  send(frame: Uint8Array): void {
    check(libc().send(this.#fd, frame, frame.length, 0), "send", "(packet)");
  }

  close(): void {
    libc().close(this.#fd);
  }
}

const afPacket = 17;
const sockRaw = 3;
const sockCloexec = 0o2000000;
