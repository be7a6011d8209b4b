/** A container's ports. */
import type { Container } from "../../../api/core/v1.ts";
import { duplicate, type FieldError, type FieldPath, invalid, required } from "../../../apimachinery/field-error.ts";
import { portNameProblems } from "../../../apimachinery/name-validation.ts";
import { each, obeys, requiredOneOf, validPort } from "../../validation/rules.ts";

export function validContainerPorts(ports: Container["ports"], path: FieldPath): FieldError[] {
  const names = new Set<string>();
  return each(ports, path, ({ name, containerPort, hostPort, protocol }, at) => {
    const errors: FieldError[] = [];
    if (name) {
      const problems = obeys(name, portNameProblems, at.child("name"));
      if (problems.length === 0 && names.has(name)) problems.push(duplicate(at.child("name"), name));
      errors.push(...problems);
      names.add(name);
    }
    if (!containerPort) errors.push(required(at.child("containerPort")));
    else errors.push(...validPort(containerPort, at.child("containerPort")));
    if (hostPort) errors.push(...validPort(hostPort, at.child("hostPort")));
    errors.push(...requiredOneOf(protocol, ["SCTP", "TCP", "UDP"], at.child("protocol")));
    return errors;
  });
}

/** No two containers may ask for the same port of their node. */
export function distinctHostPorts(containers: readonly Container[], path: FieldPath): FieldError[] {
  const taken = new Set<string>();
  return each(containers, path, (container, at) =>
    each(container.ports, at.child("ports"), ({ protocol, hostIP = "", hostPort }, portPath) => {
      if (!hostPort) return [];
      const identity = `${protocol}/${hostIP}/${hostPort}`;
      if (taken.has(identity)) return [duplicate(portPath.child("hostPort"), identity)];
      taken.add(identity);
      return [];
    }),
  );
}

/** On the host's network there is nothing to map. A template may leave the host's port to the pods made of it. */
export function matchingHostPorts(containers: readonly Container[], path: FieldPath, isPod: boolean): FieldError[] {
  return each(containers, path, (container, at) =>
    each(container.ports, at.child("ports"), ({ containerPort, hostPort }, portPath) =>
      hostPort === containerPort || (!isPod && !hostPort)
        ? []
        : [invalid(portPath.child("hostPort"), hostPort ?? 0, "must match `containerPort` when `hostNetwork` is true")],
    ),
  );
}
