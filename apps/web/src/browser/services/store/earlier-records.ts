/** Converts records that earlier versions of the page wrote, in which the field `images` was named `pictures`. */

/** The record with its field under today's name; other records are returned as they are. */
export function withImages(record: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (!("pictures" in record)) return record;
  const { pictures, ...others } = record;
  return { ...others, images: pictures };
}
