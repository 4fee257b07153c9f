/** Splits an answer into the words that can be explained and the text between them. */

export interface Piece {
  readonly text: string;
  /** Position in UTF-16 code units of the answer. */
  readonly start: number;
  readonly isWord: boolean;
}

const WORD = /[\p{L}\p{N}](?:[\p{L}\p{N}\p{M}]|['’.,-](?=[\p{L}\p{N}]))*/gu;

export function piecesOf(answer: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const { 0: text, index } of answer.matchAll(WORD)) {
    if (index > end) pieces.push({ text: answer.slice(end, index), start: end, isWord: false });
    pieces.push({ text, start: index, isWord: true });
    end = index + text.length;
  }
  if (end < answer.length) pieces.push({ text: answer.slice(end), start: end, isWord: false });
  return pieces;
}
