/** Lists the faults, what must happen in each, and the tests that check it: the source of the table in README.md. */

export interface FaultRow {
  /** The number of the fault in the soak and the reports. */
  readonly number: string;
  readonly fault: string;
  readonly expected: string;
  /** Test files, and the beginning of the full names of the tests that belong to the row; all tests without a name. */
  readonly tests: readonly { readonly file: string; readonly name?: string }[];
}

const CONTROLLER = "apps/controller/test";
const FAULTS = `${CONTROLLER}/faults`;
const WORKER = "apps/worker/test";

export const MATRIX: readonly FaultRow[] = [
  {
    number: "F01",
    fault: "worker killed (SIGKILL) after 0, 1, 5 and the last but one of its tokens",
    expected: "with another worker the text goes on without a gap; alone: an error event",
    tests: [
      {
        file: `${CONTROLLER}/migration/migration-processes.test.ts`,
        name: "a worker's process that is killed",
      },
      { file: `${CONTROLLER}/migration/migration-processes.test.ts`, name: "the real worker, killed" },
    ],
  },
  {
    number: "F01",
    fault: "worker killed under the page",
    expected: "a sentence; the next worker is used without a reload",
    tests: [
      { file: "apps/cli/test/first-run.browser.test.ts", name: "the first run when the worker is killed" },
    ],
  },
  {
    number: "F01 F15",
    fault: "controller killed under load, and started again",
    expected:
      "direct answers go on, relayed ones end with an error event, all workers are back within a heartbeat",
    tests: [{ file: `${FAULTS}/controller-faults.test.ts`, name: "a controller that is killed under load" }],
  },
  {
    number: "F02",
    fault: "controller stopped (SIGSTOP) and continued",
    expected: "its answers end whole, direct ones are not affected",
    tests: [{ file: `${FAULTS}/controller-faults.test.ts`, name: "a controller that is stopped" }],
  },
  {
    number: "F02",
    fault: "worker stopped (SIGSTOP) and continued",
    expected: "its answer goes on elsewhere, it gets no requests, and is back later",
    tests: [
      {
        file: `${CONTROLLER}/migration/migration-processes.test.ts`,
        name: "a worker's process that is stopped",
      },
      { file: `${FAULTS}/controller-faults.test.ts`, name: "a worker that is stopped for longer" },
    ],
  },
  {
    number: "F01",
    fault: "parent of a program killed",
    expected: "no program is left behind",
    tests: [
      { file: "apps/cli/test/cli-serve.test.ts", name: "llava serve killed itself" },
      {
        file: `${CONTROLLER}/controller-processes.test.ts`,
        name: "ends when the program that started it is gone",
      },
      {
        file: `${WORKER}/worker-process.test.ts`,
        name: "a worker process ends when the process that started it",
      },
    ],
  },
  {
    number: "F03 F04",
    fault: "connection to a worker cut, reset or blackholed, before and in an answer",
    expected: "another worker goes on; without one an error event",
    tests: [{ file: `${FAULTS}/network-faults.test.ts`, name: "between controller and worker" }],
  },
  {
    number: "F04",
    fault: "connection of a client cut, reset or blackholed",
    expected: "the engine stops, its slot is free",
    tests: [{ file: `${FAULTS}/network-faults.test.ts`, name: "between client and controller" }],
  },
  {
    number: "F05",
    fault: "latency, jitter, sliced packets on every connection",
    expected: "nothing but the time changes",
    tests: [{ file: `${FAULTS}/network-faults.test.ts`, name: "latency, jitter and slices" }],
  },
  {
    number: "R04",
    fault: "clients that leave at any moment",
    expected: "queues, slots and permits return to zero",
    tests: [
      { file: "scripts/faults/storm.test.ts" },
      { file: "packages/engine/test/cancellation.test.ts" },
      { file: `${WORKER}/admission-limits.test.ts`, name: "a client that leaves" },
    ],
  },
  {
    number: "F06",
    fault: "a client that reads slowly, or not at all",
    expected: "its worker is held back, then its connection is closed",
    tests: [
      { file: `${CONTROLLER}/relay-http.test.ts`, name: "a client that leaves holds the worker back" },
      { file: `${FAULTS}/worker-faults.test.ts`, name: "a client that stops reading" },
    ],
  },
  {
    number: "F07 F09",
    fault: "a run of the model that fails, memory that runs out in a request",
    expected: "an error for the requests in it, and for no other",
    tests: [
      { file: "packages/engine/test/concurrency.test.ts", name: "a run that fails" },
      { file: "packages/engine/test/concurrency.test.ts", name: "memory for fewer" },
      { file: "packages/engine/test/broken-models.test.ts", name: "memory that runs out" },
    ],
  },
  {
    number: "F10",
    fault: "many more requests than there is room",
    expected: "429 with a time to come again, the others answered, then there is room",
    tests: [
      { file: `${FAULTS}/controller-faults.test.ts`, name: "many more requests" },
      { file: `${WORKER}/admission-limits.test.ts`, name: "too many" },
    ],
  },
  {
    number: "F11",
    fault: "headers or bodies one byte at a time, floods of headers, idle connections",
    expected: "408, 431, closed; others are served",
    tests: [{ file: "packages/server/test/hostile.test.ts" }],
  },
  {
    number: "F12 F25",
    fault: "addresses of images that lead inside, bounce, drip or never end (U01 to U40)",
    expected: "400 in a sentence, nothing inside is reached",
    tests: [{ file: `${WORKER}/images/image-fetch.test.ts` }],
  },
  {
    number: "F13",
    fault: "hostile and broken images",
    expected: "400 in a sentence, the next request succeeds",
    tests: [
      { file: `${WORKER}/images/hostile-images.test.ts` },
      { file: "packages/processing/test/decode-pool-processes.test.ts" },
    ],
  },
  {
    number: "F16",
    fault: "a second process at a worker's address, late reports of the first",
    expected: "the new one is the only one there",
    tests: [{ file: `${FAULTS}/controller-faults.test.ts`, name: "a new process at the address" }],
  },
  {
    number: "F20",
    fault: "broken, cut, contradictory or changed model files",
    expected: "the model is refused in a sentence; a changed one is not served on",
    tests: [{ file: "packages/engine/test/broken-models.test.ts" }],
  },
  {
    number: "F22",
    fault: "SIGTERM of a worker and of the controller under load",
    expected: "no request is lost; what outlasts the time ends with an error event",
    tests: [
      { file: `${FAULTS}/controller-faults.test.ts`, name: "a worker that gets SIGTERM" },
      { file: `${CONTROLLER}/controller-processes.test.ts`, name: "lets a stream end that outlives SIGTERM" },
      { file: `${WORKER}/worker-process.test.ts`, name: "a worker process an answer that outlasts" },
    ],
  },
  {
    number: "F23",
    fault: "a worker that misbehaves: wrong status, HTML, endless frames",
    expected: "another worker is asked, its connection is closed, its breaker counts it",
    tests: [
      { file: `${FAULTS}/worker-faults.test.ts`, name: "a worker that fails before its first byte" },
      {
        file: `${CONTROLLER}/relay-http.test.ts`,
        name: "a worker lost midway may be one that never ends a frame",
      },
    ],
  },
  {
    number: "F14 F24",
    fault: "unauthorized calls: registration, forged and replayed heartbeats, calls without a key",
    expected: "401 or 403; nothing changes and no address is called",
    tests: [{ file: `${CONTROLLER}/unauthorized.test.ts` }, { file: "packages/server/test/server.test.ts" }],
  },
  {
    number: "F08",
    fault: "a request that ends the process of each worker that is asked",
    expected: "after two it is refused (422) and no worker is asked any more; all other requests are served",
    tests: [{ file: `${CONTROLLER}/poison-request-processes.test.ts` }],
  },
  {
    number: "F27",
    fault: "an exception that is not caught, in a worker and in the controller",
    expected:
      "answers get 5 s to end, then the process ends with status 70; what a worker could not say goes on elsewhere",
    tests: [{ file: "scripts/faults/uncaught.test.ts" }],
  },
  {
    number: "F17",
    fault: "the clock jumps by a day, forth and back",
    expected: "no worker is lost, signatures and answers stay good",
    tests: [{ file: "scripts/faults/machine.test.ts", name: "a machine whose clock jumps" }],
  },
  {
    number: "F26",
    fault: "other programs take the processor's time",
    expected: "all is slow and nothing else: no worker and no answer is lost",
    tests: [{ file: "scripts/faults/machine.test.ts", name: "a machine that has no time" }],
  },
  {
    number: "F09",
    fault: "a worker's process runs out of memory",
    expected: "it ends, its answers go on elsewhere, a new one joins",
    tests: [{ file: "scripts/faults/machine.test.ts", name: "a machine that has no memory" }],
  },
  {
    number: "F18",
    fault: "no files left to open (EMFILE)",
    expected: "connections are turned away; then there is room, and all is served",
    tests: [{ file: `${FAULTS}/open-files.test.ts` }],
  },
  {
    number: "F19",
    fault: "a log that cannot be written (full disk, reader gone)",
    expected: "lines are dropped and counted, everything else goes on",
    tests: [{ file: "apps/cli/test/cli-log.test.ts" }],
  },
];
