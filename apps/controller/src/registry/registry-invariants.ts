/** Checks what must hold for the registry at every moment; tests and long runs call it after each step. */
import { MAX_WORKERS, type Registry } from "./registry.ts";

/** A sentence for each rule that does not hold. */
export function registryFaults(
  registry: Pick<Registry, "workers" | "leases" | "models" | "nowMs">,
): readonly string[] {
  const { workers, leases, models, nowMs } = registry;
  const faults: string[] = [];
  const expect = (holds: boolean, sentence: string): void => void (holds || faults.push(sentence));
  const addresses = new Set(workers.map(({ address }) => address));
  const registrations = new Set(workers.map(({ registration }) => registration));
  expect(workers.length <= MAX_WORKERS, `There are ${workers.length} workers.`);
  expect(addresses.size === workers.length, "An address is in the table twice.");
  expect(registrations.size === workers.length, "Two workers have one registration.");
  for (const { address, queueLength, numLeases, lastHeartBeatMs, speed, models } of workers) {
    const numOut = leases.filter(({ worker }) => worker.address === address).length;
    expect(queueLength >= 0, `The queue of ${address} is ${queueLength}.`);
    expect(numLeases === numOut, `${address} counts ${numLeases} leases, and ${numOut} are out.`);
    expect(lastHeartBeatMs <= nowMs, `The heartbeat of ${address} is of ${lastHeartBeatMs}, after ${nowMs}.`);
    expect(speed > 0 || models.length === 0, `${address} has models and the speed ${speed}.`);
  }
  for (const { worker } of leases) {
    expect(addresses.has(worker.address), `A lease is counted for ${worker.address}, which has left.`);
  }
  for (const model of models) {
    const isServed = workers.some(({ state, models }) => state === "ready" && models.includes(model));
    expect(isServed, `The model ${model} is listed, and no worker that takes requests has it.`);
  }
  return faults;
}
