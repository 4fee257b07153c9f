/** The flags that several scripts read: numbers, and the sentence that ends a script that was called wrongly. */

/** Ends the process unless the text is a whole number from `least` to `most`. */
export function wholeNumber(flag: string, text: string, [least, most]: readonly [number, number]): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  return refuse(`${flag} is "${text}"; it must be a whole number from ${least} to ${most}.`);
}

export function refuse(sentence: string): never {
  console.error(`${sentence} --help lists the flags.`);
  process.exit(2);
}
