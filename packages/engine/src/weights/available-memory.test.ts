import { expect, test } from "vitest";
import { availableMemory } from "./available-memory.ts";

const MEMINFO = "MemTotal:       24000000 kB\nMemFree:          100000 kB\nMemAvailable:   20000000 kB\n";

const machine =
  (files: Readonly<Record<string, string>>) =>
  async (file: string): Promise<string> => {
    const text = files[file];
    if (text === undefined) throw new Error(`ENOENT ${file}`);
    return text;
  };

test("Linux: what could be had, not what lies idle", async () => {
  expect(await availableMemory(machine({ "/proc/meminfo": MEMINFO }))).toBe(20_000_000 * 1024);
});

test("a control group's limit counts, and its files' pages are free", async () => {
  const files = {
    "/proc/meminfo": MEMINFO,
    "/proc/self/cgroup": "0::/box/inner\n",
    "/sys/fs/cgroup/box/inner/memory.max": "max\n",
    "/sys/fs/cgroup/box/inner/memory.current": "1000\n",
    "/sys/fs/cgroup/box/memory.max": "5000000000\n",
    "/sys/fs/cgroup/box/memory.current": "4000000000\n",
    "/sys/fs/cgroup/box/memory.stat": "anon 1\ninactive_file 2000000000\nactive_file 500000000\nslab 9\n",
  };
  expect(await availableMemory(machine(files))).toBe(3_500_000_000);
});

test("in a container the group's own files are at the root", async () => {
  const files = {
    "/proc/meminfo": MEMINFO,
    "/proc/self/cgroup": "0::/../../secret\n",
    "/sys/fs/cgroup/memory.max": "3000\n",
    "/sys/fs/cgroup/memory.current": "4000\n",
  };
  expect(await availableMemory(machine(files))).toBe(0);
});

test("the first version of control groups", async () => {
  const files = {
    "/proc/meminfo": MEMINFO,
    "/proc/self/cgroup": "5:cpu:/x\n4:memory:/docker/abc\n",
    "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "9223372036854771712\n",
    "/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes": "100\n",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "2000\n",
    "/sys/fs/cgroup/memory/memory.usage_in_bytes": "1500\n",
    "/sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 300\n",
  };
  expect(await availableMemory(machine(files))).toBe(800);
});

test("elsewhere the system is asked", async () => {
  expect(await availableMemory(machine({}), () => 77)).toBe(77);
});
