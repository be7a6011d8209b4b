/** Probes and lifecycle hooks, and the handlers that both run. */
import type { Container, LifecycleHandler, Probe } from "../../../api/core/v1.ts";
import { type FieldError, type FieldPath, forbidden, invalid, required } from "../../../apimachinery/field-error.ts";
import { httpHeaderNameProblems } from "../../../apimachinery/name-validation.ts";
import { nonNegative, obeys, oneOf } from "../../validation/rules.ts";
import { validPortNumberOrName } from "../port-number-or-name.ts";

export function validProbes(container: Container, graceSeconds: number, path: FieldPath): FieldError[] {
  return [
    ...validProbe(container.livenessProbe, graceSeconds, path.child("livenessProbe"), mustSucceedOnce),
    ...validProbe(container.readinessProbe, graceSeconds, path.child("readinessProbe"), hasNoGracePeriod),
    ...validProbe(container.startupProbe, graceSeconds, path.child("startupProbe"), mustSucceedOnce),
  ];
}

export function validLifecycle(lifecycle: Container["lifecycle"], graceSeconds: number, path: FieldPath): FieldError[] {
  if (!lifecycle) return [];
  const errors: FieldError[] = [];
  if (lifecycle.postStart) errors.push(...validHandler(lifecycle.postStart, graceSeconds, path.child("postStart")));
  if (lifecycle.preStop) errors.push(...validHandler(lifecycle.preStop, graceSeconds, path.child("preStop")));
  return errors;
}

type ProbeRule = (probe: Probe, path: FieldPath) => FieldError[];

const mustSucceedOnce: ProbeRule = ({ successThreshold }, path) =>
  successThreshold === 1 ? [] : [invalid(path.child("successThreshold"), successThreshold ?? 0, "must be 1")];

const hasNoGracePeriod: ProbeRule = ({ terminationGracePeriodSeconds: seconds }, path) =>
  seconds === undefined
    ? []
    : [invalid(path.child("terminationGracePeriodSeconds"), seconds, "must not be set for readinessProbes")];

function validProbe(probe: Probe | undefined, graceSeconds: number, path: FieldPath, rule: ProbeRule): FieldError[] {
  if (!probe) return [];
  const errors = validHandler(probe, graceSeconds, path);
  for (const field of [
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
  ] as const) {
    errors.push(...nonNegative(probe[field], path.child(field)));
  }
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined && grace <= 0) {
    errors.push(invalid(path.child("terminationGracePeriodSeconds"), grace, "must be greater than 0"));
  }
  return [...errors, ...rule(probe, path)];
}

type Handler = LifecycleHandler & Pick<Probe, "grpc">;

function validHandler(handler: Handler, graceSeconds: number, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  let handlers = 0;
  const one = <T>(name: string, action: T | undefined, rule: (action: T, path: FieldPath) => FieldError[]) => {
    if (action === undefined || action === null) return;
    const at = path.child(name);
    if (handlers++ > 0) errors.push(forbidden(at, "may not specify more than 1 handler type"));
    else errors.push(...rule(action, at));
  };
  one("exec", handler.exec, ({ command }, at) => (command?.length ? [] : [required(at.child("command"))]));
  one("httpGet", handler.httpGet, (http, at) => [
    ...(http.path ? [] : [required(at.child("path"))]),
    ...validPortNumberOrName(http.port ?? 0, at.child("port")),
    ...oneOf(http.scheme, ["HTTP", "HTTPS"], at.child("scheme")),
    ...(http.httpHeaders ?? []).flatMap(({ name }) => obeys(name, httpHeaderNameProblems, at.child("httpHeaders"))),
  ]);
  one("tcpSocket", handler.tcpSocket, ({ port }, at) => validPortNumberOrName(port ?? 0, at.child("port")));
  one("grpc", handler.grpc, ({ port }, at) => validPortNumberOrName(port ?? 0, at.child("port")));
  one("sleep", handler.sleep, ({ seconds }, at) =>
    seconds >= 0 && seconds <= graceSeconds
      ? []
      : [invalid(at, seconds, `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`)],
  );
  if (handlers === 0) errors.push(required(path, "must specify a handler type"));
  return errors;
}
