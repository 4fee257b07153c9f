import { homedir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { cacheFolder } from "./cache-folder.ts";

const HOME = homedir();

test.each<[environment: Record<string, string>, platform: NodeJS.Platform, folder: string]>([
  [{ LLAVA_CACHE: "/big/disk", XDG_CACHE_HOME: "/x" }, "linux", path.resolve("/big/disk")],
  [{ LLAVA_CACHE: "here" }, "linux", path.resolve("here")],
  [{ XDG_CACHE_HOME: "/x" }, "linux", path.join("/x", "llava")],
  [{ XDG_CACHE_HOME: "relative" }, "linux", path.join(HOME, ".cache", "llava")],
  [{ LLAVA_CACHE: "" }, "linux", path.join(HOME, ".cache", "llava")],
  [{}, "darwin", path.join(HOME, "Library", "Caches", "llava")],
  [{ LOCALAPPDATA: "L" }, "win32", path.join("L", "llava")],
  [{}, "win32", path.join(HOME, "AppData", "Local", "llava")],
])("%j on %s: %s", (environment, platform, folder) => {
  expect(cacheFolder(environment, platform)).toBe(folder);
});
