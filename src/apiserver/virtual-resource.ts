/** Resources that nothing is stored of: reviews, which answer a question, and what is worked out when it is asked for. */
import type { KubeObject } from "../api/object.ts";
import type { ResourceDefinition } from "../apimachinery/resource-definition.ts";
import type { Query } from "./request-info.ts";
import type { RequestContext } from "./services.ts";

export interface VirtualRequest {
  context: RequestContext;
  namespace: string;
  /** Empty for creates and lists. */
  name: string;
  query: Query;
}

export interface VirtualResource {
  /** Its `verbs` say which of the functions below are there. */
  definition: ResourceDefinition;
  /** POST. `object` is decoded and private; what is returned is answered with 201. */
  create?(object: KubeObject, request: VirtualRequest): Promise<object>;
  get?(request: VirtualRequest): Promise<object>;
  /** The items, complete with kind and apiVersion. */
  list?(request: VirtualRequest): Promise<readonly object[]>;
}
