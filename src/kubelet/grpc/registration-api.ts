/** The kubelet's plugin registration, by its field numbers. */
import { flag, list, message, text } from "./message.ts";

const empty = message({});

export const registration = {
  getInfo: {
    path: "/pluginregistration.Registration/GetInfo",
    request: empty,
    response: message({ type: text(1), name: text(2), endpoint: text(3), supported_versions: list(text(4)) }),
  },
  notify: {
    path: "/pluginregistration.Registration/NotifyRegistrationStatus",
    request: message({ plugin_registered: flag(1), error: text(2) }),
    response: empty,
  },
};
