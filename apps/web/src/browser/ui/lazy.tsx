/** Makes components whose script is loaded when they are first shown. */
import { signal } from "@preact/signals";
import type { FunctionComponent } from "preact";
import { useEffect } from "preact/hooks";

/** Shows nothing until the script is loaded; after a failure, the next time it is shown tries again. */
export function lazily<Props extends object>(
  load: () => Promise<FunctionComponent<Props>>,
): FunctionComponent<Props> {
  const loaded = signal<FunctionComponent<Props> | null>(null);
  let isLoading = false;
  return (props) => {
    useEffect(() => {
      if (isLoading) return;
      isLoading = true;
      void load().then(
        (part) => (loaded.value = part),
        () => (isLoading = false),
      );
    }, []);
    const Part = loaded.value;
    return Part === null ? null : <Part {...props} />;
  };
}
