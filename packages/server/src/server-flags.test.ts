import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { warnOfReaders } from "./server-flags.ts";

test.skipIf(process.platform === "win32")(
  "a file with a secret that others can read is logged as a warning",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "llava-secret-"));
    try {
      const file = join(folder, "cluster.txt");
      await writeFile(file, "a token\n");
      const warnings: unknown[] = [];
      const check = (): void =>
        warnOfReaders([undefined, file], { warn: (about: unknown) => void warnings.push(about) });
      for (const mode of [0o600, 0o400, 0o640, 0o604]) {
        await chmod(file, mode);
        check();
      }
      expect(warnings).toEqual([{ file }, { file }]);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);
