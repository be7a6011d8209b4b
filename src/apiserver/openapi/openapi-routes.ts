export class OpenApiRoutes {
  constructor(_r: unknown) {}
  async serve(exchange: any, _i: unknown, _a: string): Promise<void> {
    exchange.respond(404, {}, "");
  }
}
