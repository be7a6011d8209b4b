import { isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addressAt,
  cidr,
  cidrContains,
  cidrsOverlap,
  formatCidr,
  formatIp,
  ip,
  networkOf,
  offsetIn,
  parseCidr,
  parseIp,
} from "./ip.ts";

describe("addresses", () => {
  test.each([
    ["10.0.2.4", "10.0.2.4"],
    ["::", "::"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["fd00:10:244::1", "fd00:10:244::1"],
    ["::ffff:1.2.3.4", "::ffff:1.2.3.4"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
  ])("%s prints canonically as %s", (text, canonical) => expect(formatIp(ip(text))).toBe(canonical));

  test.each([
    "",
    "1.2.3",
    "01.2.3.4",
    "1.2.3.256",
    "1.2.3.4.5",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8::",
    "12345::",
    "::1.2.3",
    "1.2.3.4::",
    "fe80::1%eth0",
  ])("%j is not an address", (text) => expect(parseIp(text)).toBeUndefined());

  test("every address survives printing and parsing, and Node agrees that it is one", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    );
    fc.assert(
      fc.property(bytes, (address) => {
        const text = formatIp(address);
        return isIP(text) === (address.length === 4 ? 4 : 6) && parseIp(text)!.join() === address.join();
      }),
    );
  });
});

describe("blocks", () => {
  test("a block knows its network, members and offsets", () => {
    const block = cidr("10.244.1.77/24");
    expect(formatCidr(networkOf(block))).toBe("10.244.1.0/24");
    expect(formatIp(addressAt(block, 1))).toBe("10.244.1.1");
    expect(offsetIn(block, ip("10.244.1.255"))).toBe(255n);
    expect(cidrContains(block, ip("10.244.1.255"))).toBe(true);
    expect(cidrContains(block, ip("10.244.2.0"))).toBe(false);
    expect(cidrContains(block, ip("::1"))).toBe(false);
    expect(formatIp(addressAt(cidr("fd00:1::/64"), 2n))).toBe("fd00:1::2");
  });

  test("overlap is symmetric and sees containment", () => {
    expect(cidrsOverlap(cidr("10.0.0.0/8"), cidr("10.96.0.0/16"))).toBe(true);
    expect(cidrsOverlap(cidr("10.96.0.0/16"), cidr("10.0.0.0/8"))).toBe(true);
    expect(cidrsOverlap(cidr("10.96.0.0/16"), cidr("10.97.0.0/16"))).toBe(false);
    expect(cidrsOverlap(cidr("0.0.0.0/0"), cidr("::/0"))).toBe(false);
  });

  test.each(["10.0.0.0", "10.0.0.0/33", "10.0.0.0/08", "10.0.0/8", "::/129", "/8"])("%j is not a block", (text) =>
    expect(parseCidr(text)).toBeUndefined(),
  );
});
