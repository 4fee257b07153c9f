/** Under an answer about one of the page's drawings: whether it is true, which the page knows, for it knows what it drew. */
import type { JSX } from "preact";

import type { MessageNode } from "../../state/chat/message-node.ts";
import type { ImageRef } from "../../services/store/records.ts";
import { TEXTS } from "../../ui/texts.ts";

interface Props {
  /** Of the conversation so far, the question's own last. */
  readonly images: readonly ImageRef[];
  readonly question: string;
  readonly node: MessageNode;
}

/** Nothing for a question whose answer nobody knows. */
export function TrueAnswer({ images, question, node }: Props): JSX.Element | null {
  const truth = trueAnswer(images, question);
  if (truth === null || node.state.value?.kind !== "finished") return null;
  const isRight = plain(node.text.value) === plain(truth);
  return (
    <p class="truth" data-right={isRight}>
      {isRight ? TEXTS.scenes.right : TEXTS.scenes.truth(truth)}
    </p>
  );
}

/** As the last of the drawings has it; null when the question is none of those that came with it. */
export function trueAnswer(images: readonly ImageRef[], question: string): string | null {
  // Between two images "the circle" may be either's.
  if (images.length !== 1) return null;
  const { questions, answers } = images[0] ?? {};
  const index = questions?.indexOf(question.trim()) ?? -1;
  return answers?.[index] ?? null;
}

/** As scripts/demo/eval-demo.ts compares: in lower case, without a final period. */
function plain(answer: string): string {
  return answer.trim().toLowerCase().replace(/\.$/, "");
}
