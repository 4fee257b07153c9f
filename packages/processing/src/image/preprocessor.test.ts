import { describe, expect, test } from "vitest";
import { CLIP_MEAN, CLIP_STD, parsePreprocessor } from "./preprocessor.ts";

/** preprocessor_config.json of llava-hf/llava-1.5-7b-hf. */
const clip = {
  crop_size: { height: 336, width: 336 },
  do_center_crop: true,
  do_convert_rgb: true,
  do_normalize: true,
  do_rescale: true,
  do_resize: true,
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_processor_type: "CLIPImageProcessor",
  image_std: [0.26862954, 0.26130258, 0.27577711],
  resample: 3,
  rescale_factor: 0.00392156862745098,
  size: { shortest_edge: 336 },
};

test("CLIP's own processor crops", () => {
  expect(parsePreprocessor(clip, 336)).toEqual({
    size: 336,
    shape: "crop",
    mean: CLIP_MEAN,
    std: CLIP_STD,
    rescale: 1 / 255,
  });
});

test.each([
  ["bare numbers", { ...clip, size: 336, crop_size: 336 }, "crop"],
  ["nothing at all", {}, "crop"],
  ["do_pad", { ...clip, do_pad: true }, "pad"],
  [
    "do_pad with both edges and no crop",
    { ...clip, do_pad: true, size: { height: 336, width: 336 }, do_center_crop: false },
    "pad",
  ],
  ["nulls", { ...clip, do_pad: null, image_mean: null, rescale_factor: null, crop_size: null }, "crop"],
])("the forms of different years: %s", (_, value, shape) => {
  expect(parsePreprocessor(value, 336)).toMatchObject({ size: 336, shape, mean: CLIP_MEAN });
});

describe("another processing is refused by name", () => {
  test.each([
    ["no resizing", { do_resize: false }, /do_resize is false/],
    ["no scaling", { do_rescale: false }, /do_rescale is false/],
    ["no normalising", { do_normalize: false }, /do_normalize is false/],
    ["neither crop nor pad", { do_center_crop: false }, /do_center_crop is false/],
    ["another filter", { resample: 2 }, /resample is 2, not 3/],
    ["stretching", { size: { height: 336, width: 336 } }, /stretches images/],
    ["an oblong", { crop_size: { height: 336, width: 200 } }, /not a square/],
  ])("%s", (_, change, expected) => {
    const parse = (): unknown => parsePreprocessor({ ...clip, ...change }, 336);
    expect(parse).toThrow(expect.objectContaining({ code: "unsupported_model" }));
    expect(parse).toThrow(expected);
  });
});

describe("a file that cannot be right is refused with key and value", () => {
  test.each([
    ["the size of another tower", { size: { shortest_edge: 224 } }, /size is 224, .* 336 pixels/],
    ["the crop of another tower", { crop_size: 224 }, /crop_size is 224/],
    ["a std of zero", { image_std: [0, 1, 1] }, /image_std\.0 is 0/],
    ["two channels", { image_mean: [0.5, 0.5] }, /image_mean is \[0\.5,0\.5\]/],
    ["a mean of NaN", { image_mean: [Number.NaN, 0, 0] }, /image_mean\.0/],
    ["a size of NaN", { size: Number.NaN }, /preprocessor_config\.json: size/],
  ])("%s", (_, change, expected) => {
    const parse = (): unknown => parsePreprocessor({ ...clip, ...change }, 336);
    expect(parse).toThrow(expect.objectContaining({ code: "invalid_checkpoint" }));
    expect(parse).toThrow(expected);
  });
});
