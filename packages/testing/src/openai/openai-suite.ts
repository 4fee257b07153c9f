/**
 * OpenAI's own client against a server of ours, over real HTTP: the same expectations of a worker and of a controller in
 * front of one. OpenAI's own client must work unmodified.
 */
import type { BackendCapabilities } from "@llava/backend";
import { describeAnswers, describeQuestions, describeSettings, describeStreams } from "./openai-chat.ts";
import { describeErrors, describeFullServer, describeLeaving, describeRefusals } from "./openai-failures.ts";
import { describeChoices, describeJson, describeLogprobs, describeTokens } from "./openai-sampling.ts";
import { Visit, type OpenAiStage } from "./openai-stage.ts";
import { describeModels, describeTexts } from "./openai-texts.ts";

export type { OpenAiStage };

/** @param lacks capabilities that the backend has not; the tests that need them are reported as skipped */
export function describeOpenAi(
  startStage: () => Promise<OpenAiStage>,
  lacks: readonly (keyof BackendCapabilities)[] = [],
): void {
  const visit = new Visit(startStage, lacks);
  describeAnswers(visit);
  describeStreams(visit);
  describeQuestions(visit);
  describeSettings(visit);
  describeTokens(visit);
  describeChoices(visit);
  describeLogprobs(visit);
  describeJson(visit);
  describeTexts(visit);
  describeModels(visit);
  describeRefusals(visit);
  describeErrors(visit);
  describeFullServer(visit);
  describeLeaving(visit);
}
