/** The `llava` command: hands the command line to the program table and turns its outcome into an exit code. */
import { runCli } from "./cli-program.ts";

// A reader such as `head` may close the pipe early; that ends the output, it is not a failure to report.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

// Not process.exit: what was written to a pipe may still be under way.
process.exitCode = await runCli(process.argv.slice(2));
