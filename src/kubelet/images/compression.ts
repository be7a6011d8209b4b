/** Undoes a layer's compression, told by its first bytes: media types are not always true. */
import { closeSync, createReadStream, openSync, readSync } from "node:fs";
import { PassThrough, pipeline, type Readable } from "node:stream";
import * as zlib from "node:zlib";
import { spawnProcess } from "../../base/node/spawn-process.ts";
import { ImageError } from "./image-service.ts";

/** The plain content of a file. Errors in the compressed data destroy the stream with an ImageError of reason "Corrupt". */
export function decompressed(path: string, findProgram: (name: string) => string | undefined): Readable {
  const kind = compressionOf(path);
  if (kind === "none") return createReadStream(path, { highWaterMark: chunk });
  const native = kind === "gzip" ? zlib.createGunzip({ chunkSize: chunk }) : nativeZstd();
  if (native) {
    const source = createReadStream(path, { highWaterMark: chunk });
    pipeline(source, native, (error) => {
      if (error) native.destroy(corrupt(kind, error.message, error));
    });
    return native;
  }
  return zstdProgram(path, findProgram);
}

function compressionOf(path: string): "gzip" | "zstd" | "none" {
  const fd = openSync(path, "r");
  try {
    const start = Buffer.alloc(4);
    readSync(fd, start, 0, 4, 0);
    if (start[0] === 0x1f && start[1] === 0x8b) return "gzip";
    if (start.readUInt32LE(0) === 0xfd2fb528) return "zstd";
    // A zstd stream may begin with a skippable frame.
    return start.readUInt32LE(0) >>> 4 === 0x0184d2a5 ? "zstd" : "none";
  } finally {
    closeSync(fd);
  }
}

/** Node has zstd from 22.15 on. */
function nativeZstd(): (Readable & NodeJS.WritableStream) | undefined {
  const { createZstdDecompress } = zlib as unknown as { createZstdDecompress?: () => Readable & NodeJS.WritableStream };
  return createZstdDecompress?.();
}

function zstdProgram(path: string, findProgram: (name: string) => string | undefined): Readable {
  const file = findProgram("zstd");
  if (!file) {
    throw new ImageError(
      "Internal",
      "the layer is compressed with zstd: install the program `zstd`, or use Node 22.15 or later",
    );
  }
  const child = spawnProcess({ file, args: ["-d", "-c", "-q", "--", path], fds: { 1: "pipe-out", 2: "pipe-out" } });
  const output = child.readers[1]!;
  let complaint = "";
  child.readers[2]!.on("data", (bytes: Buffer) => (complaint += bytes.toString()));
  // Its end is believed only when the program says that all was well.
  const checked = new PassThrough({ highWaterMark: chunk });
  output.pipe(checked, { end: false });
  checked.once("close", () => output.destroy());
  output.once("end", () => {
    void child.exited.then(({ code }) => {
      if (code === 0) checked.end();
      else checked.destroy(corrupt("zstd", complaint.trim()));
    });
  });
  return checked;
}

function corrupt(kind: string, message: string, cause?: Error): ImageError {
  return new ImageError("Corrupt", `layer is not valid ${kind}: ${message}`, { cause });
}

const chunk = 128 << 10;
