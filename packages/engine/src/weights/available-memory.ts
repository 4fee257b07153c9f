/** Measures the memory that this process may still take, which is more than what lies idle: cached files give theirs up. */
import { readFile } from "node:fs/promises";
import { freemem } from "node:os";

/** Files in which Linux publishes memory and control groups. */
const MEMINFO = "/proc/meminfo";
const OWN_GROUPS = "/proc/self/cgroup";
const GROUPS = "/sys/fs/cgroup";

type ReadText = (file: string) => Promise<string>;

/**
 * Bytes. On Linux the least of MemAvailable and of what each control group around this process leaves; pages of files
 * count as free, because the system gives them up. On other systems it is what they call free.
 */
export async function availableMemory(
  read: ReadText = (file) => readFile(file, "utf8"),
  otherwise: () => number = freemem,
): Promise<number> {
  const meminfo = await read(MEMINFO).catch(() => "");
  const kilobytes = /^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1];
  if (kilobytes === undefined) return otherwise();
  return Math.min(Number(kilobytes) * 1024, await groupRoom(read));
}

/** Bytes that control groups leave; infinite without a limit. */
async function groupRoom(read: ReadText): Promise<number> {
  const groups = await read(OWN_GROUPS).catch(() => "");
  let room = Infinity;
  for (const line of groups.split("\n")) {
    const [, controllers = "", group = ""] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === "") room = Math.min(room, ...(await roomsUp(read, GROUPS, group, VERSION_2)));
    if (controllers.split(",").includes("memory"))
      room = Math.min(room, ...(await roomsUp(read, `${GROUPS}/memory`, group, VERSION_1)));
  }
  return room;
}

interface GroupFiles {
  readonly limit: string;
  readonly usage: string;
  /** Keys of memory.stat: pages of files, in the group and those below it. */
  readonly files: RegExp;
}

const VERSION_2: GroupFiles = {
  limit: "memory.max",
  usage: "memory.current",
  files: /^(?:in)?active_file (\d+)$/gm,
};
const VERSION_1: GroupFiles = {
  limit: "memory.limit_in_bytes",
  usage: "memory.usage_in_bytes",
  files: /^total_(?:in)?active_file (\d+)$/gm,
};

/** Bytes left in the group and in those around it: each has a limit of its own. In a container only the root is visible. */
async function roomsUp(read: ReadText, root: string, group: string, files: GroupFiles): Promise<number[]> {
  const parts = group.split("/").filter((part) => part !== "" && part !== "..");
  const folders = parts.map((_, i) => `${root}/${parts.slice(0, parts.length - i).join("/")}`);
  return await Promise.all([...folders, root].map((folder) => roomIn(read, folder, files)));
}

async function roomIn(read: ReadText, folder: string, { limit, usage, files }: GroupFiles): Promise<number> {
  const text = (name: string): Promise<string> => read(`${folder}/${name}`).catch(() => "");
  const most = Number.parseInt(await text(limit), 10);
  const used = Number.parseInt(await text(usage), 10);
  if (!Number.isFinite(most) || !Number.isFinite(used)) return Infinity;
  const pages = [...(await text("memory.stat")).matchAll(files)].map((match) => Number(match[1]));
  return Math.max(0, most - used + pages.reduce((a, b) => a + b, 0));
}
