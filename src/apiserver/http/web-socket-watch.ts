export async function serveWebSocketWatch(..._a: any[]): Promise<void> {
  throw new Error("not there");
}
