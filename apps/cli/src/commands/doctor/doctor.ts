/** Runs `llava doctor`: checks everything that the programs need, and prints what to do about each fault. */
import { checkController } from "./controller-checks.ts";
import { controllerOf } from "../controller-view.ts";
import { lineOf, type Finding } from "./finding.ts";
import {
  checkDisk,
  checkGpu,
  checkMemory,
  checkModel,
  checkNode,
  checkImages,
  checkPorts,
  checkRuntime,
} from "./machine-checks.ts";
import { LOOPBACK_CONTROLLER } from "@llava/server/command";
import type { DoctorFlags } from "../../options/command-options.ts";
import { DEMO_MODEL } from "../../options/default-model.ts";

/** @returns the exit code: 1 when something is wrong */
export async function doctor(flags: DoctorFlags): Promise<number> {
  const controller = controllerOf(flags);
  const folder = flags.modelPath ?? DEMO_MODEL;
  const isNamed = controller.url !== LOOPBACK_CONTROLLER;
  const checks: readonly (() => Finding | Promise<Finding> | Promise<readonly Finding[]>)[] = [
    checkNode,
    checkRuntime,
    () => checkGpu(flags.device),
    checkImages,
    () => checkModel(folder),
    () => checkMemory(folder, flags),
    checkDisk,
    () => checkPorts(flags),
    () => checkController(controller, isNamed),
  ];
  let numWrong = 0;
  for (const check of checks) {
    // One after the other, each printed as soon as it is known.
    for (const finding of [await check()].flat()) {
      process.stdout.write(lineOf(finding));
      if (finding.state === "wrong") numWrong += 1;
    }
  }
  const verdict =
    numWrong === 0 ? "Nothing is wrong." : `${numWrong} ${numWrong === 1 ? "thing is" : "things are"} wrong.`;
  process.stdout.write(`${verdict}\n`);
  return numWrong === 0 ? 0 : 1;
}
