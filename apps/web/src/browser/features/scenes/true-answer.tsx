/** Shows under an answer about one of the page's own drawings whether it is true. */
import type { JSX } from "preact";

import type { MessageNode } from "../../state/chat/message-node.ts";
import type { ImageRef } from "../../services/store/records.ts";
import { TEXTS } from "../../ui/texts.ts";

interface Props {
  /** Images of the conversation so far, those of this question last. */
  readonly images: readonly ImageRef[];
  readonly question: string;
  readonly node: MessageNode;
}

/** Shows nothing for a question whose true answer is not known. */
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

/** The true answer that came with the drawing; null for any other question. */
export function trueAnswer(images: readonly ImageRef[], question: string): string | null {
  // With two images, "the circle" may be in either of them.
  if (images.length !== 1) return null;
  const { questions, answers } = images[0] ?? {};
  const index = questions?.indexOf(question.trim()) ?? -1;
  return answers?.[index] ?? null;
}

/** Normalizes as scripts/demo/eval-demo.ts does: lower case, without a final period. */
function plain(answer: string): string {
  return answer.trim().toLowerCase().replace(/\.$/, "");
}
