/** Runs the `llava` command and sets its exit code. */
import { runCli } from "./cli-program.ts";

// A reader such as `head` may close the pipe early; that ends the output, it is not a failure to report.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

// Not process.exit, which would lose what was written to a pipe and is not sent yet.
process.exitCode = await runCli(process.argv.slice(2));
