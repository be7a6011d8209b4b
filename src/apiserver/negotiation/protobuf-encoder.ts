export async function encodeProtobufObject(_o: object): Promise<Buffer> {
  throw new Error("not there");
}
