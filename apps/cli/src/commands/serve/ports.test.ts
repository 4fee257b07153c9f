import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { requireFreePorts } from "./ports.ts";

test("a taken port is reported with its purpose, its number and the flag that changes it", async () => {
  await using taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as AddressInfo;
  const wanted = { purpose: "page", host: "127.0.0.1", port, flag: "--port" };
  await expect(requireFreePorts([wanted])).rejects.toThrow(
    new RegExp(
      `Port ${port} for the page is taken by another program\\..*--port ${port === 65_535 ? port - 1 : port + 1}`,
    ),
  );
});

test("free ports and ports that the system chooses pass", async () => {
  const wanted = { purpose: "page", host: "127.0.0.1", port: 0, flag: "--port" };
  await requireFreePorts([wanted, { ...wanted, purpose: "controller" }]);
});

test("two programs on one port and a foreign host are refused", async () => {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const page = { purpose: "page", host: "127.0.0.1", port, flag: "--port" };
  await expect(
    requireFreePorts([page, { ...page, purpose: "worker", flag: "--worker-port" }]),
  ).rejects.toThrow(/page and the worker both want port .*--worker-port/);
  await expect(requireFreePorts([{ ...page, host: "192.0.2.1", port: 0 }])).rejects.toThrow(
    /cannot listen on 192.0.2.1/,
  );
});
