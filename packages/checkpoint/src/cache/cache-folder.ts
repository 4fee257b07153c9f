/** The cache folder keeps files that can be made again; every cache of the project finds it by this one rule. */
import { homedir } from "node:os";
import path from "node:path";

/**
 * `$LLAVA_CACHE`, else the folder `llava` in the platform's own place for caches: `$XDG_CACHE_HOME` or ~/.cache,
 * ~/Library/Caches on macOS, `%LOCALAPPDATA%` on Windows. Absolute; it need not exist.
 */
export function cacheFolder(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  const own = environment["LLAVA_CACHE"];
  if (own) return path.resolve(own);
  return path.join(platformCache(environment, platform), "llava");
}

function platformCache(
  environment: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform,
): string {
  // The specification of XDG_CACHE_HOME has relative paths ignored.
  const xdg = environment["XDG_CACHE_HOME"];
  if (xdg && path.isAbsolute(xdg)) return xdg;
  if (platform === "darwin") return path.join(homedir(), "Library", "Caches");
  if (platform === "win32") return environment["LOCALAPPDATA"] ?? path.join(homedir(), "AppData", "Local");
  return path.join(homedir(), ".cache");
}
