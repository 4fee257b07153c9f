/** Checks the ports before anything starts, so that a taken one is one sentence with the flag that changes it. */
import { createServer } from "node:net";
import { LlavaError } from "@llava/protocol";

export interface WantedPort {
  readonly purpose: string;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly flag: string;
}

/** @throws LlavaError `invalid_request` about the first port that cannot be listened on */
export async function requireFreePorts(wanted: readonly WantedPort[]): Promise<void> {
  const seen = new Map<number, WantedPort>();
  for (const want of wanted) {
    const other = seen.get(want.port);
    if (want.port !== 0 && other)
      throw new LlavaError(
        "invalid_request",
        `The ${other.purpose} and the ${want.purpose} both want port ${want.port}. Give one of them another with ${want.flag}.`,
      );
    seen.set(want.port, want);
    const reason = await tryToListen(want);
    if (reason !== null) throw new LlavaError("invalid_request", sentence(want, reason));
  }
}

function tryToListen({ host, port }: WantedPort): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port }, () => server.close(() => resolve(null)));
  });
}

function sentence({ purpose, host, port, flag }: WantedPort, reason: string): string {
  const another = port < 65_535 ? port + 1 : port - 1;
  if (reason === "EADDRINUSE")
    return `Port ${port} for the ${purpose} is taken by another program. End that program, or choose another port with ${flag}, for example ${flag} ${another}.`;
  if (reason === "EACCES")
    return `Port ${port} for the ${purpose} is reserved by the system. Choose one above 1023 with ${flag}.`;
  return `The ${purpose} cannot listen on ${host} port ${port} (${reason}). Check --host and ${flag}.`;
}
