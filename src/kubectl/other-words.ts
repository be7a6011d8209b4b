/** Other words that some commands answer to: `create cm` is `create configmap`. */

export const otherWords = {
  create: {
    ns: "namespace",
    deploy: "deployment",
    cm: "configmap",
    sa: "serviceaccount",
    cj: "cronjob",
    resourcequota: "quota",
    pc: "priorityclass",
    pdb: "poddisruptionbudget",
    ing: "ingress",
    svc: "service",
  },
  config: { use: "use-context", rename: "rename-context" },
  top: { no: "node", nodes: "node", po: "pod", pods: "pod" },
} as const satisfies Readonly<Record<string, Readonly<Record<string, string>>>>;
