import { expect, test } from "vitest";
import { utf8Length } from "./utf8.ts";

test.each(["", "plain", "é", "한글", "😀", "a😀b", "\ud800", "\udc00x", "\ud800\ud800\udc00", "\u07ff\u0800\uffff"])(
  "%j is as long as its encoding",
  (text) => {
    expect(utf8Length(text)).toBe(new TextEncoder().encode(text).length);
  },
);
