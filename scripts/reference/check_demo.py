"""Runs a model folder in Hugging Face transformers, unchanged and in float32, and writes what it computes: the proof
that the shipped demo model is an ordinary LLaVA checkpoint, and the golden that the engine is compared with.

Run by hand, never in CI:
    python -m venv /tmp/venv && /tmp/venv/bin/pip install -r scripts/reference/requirements.txt
    /tmp/venv/bin/python scripts/reference/check_demo.py packages/demo/model/llava-demo OUT \\
        --ask circle.png "What color is the circle?" --ask squares.png "How many squares are there?" \\
        --ask "What are you?"

Each --ask takes any number of images and then one question; a question without <image> gets the images in front.
Questions are put into --template ("USER: … ASSISTANT:", the demo model's, unless given); the answers are printed. OUT receives the images, golden.json and golden.safetensors in the form of golden.py's, with the prompts
named "0", "1", … and `answer` beside `greedy`; greedy tokens end with the end token or after --max-tokens.

Images are prepared by the image processor that the folder names, in its Pillow form.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from PIL import Image, ImageOps
from safetensors.torch import save_file
from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer, LlavaForConditionalGeneration
from transformers import __version__ as transformers_version

COMPACT_IMAGE = -200


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    model, report = LlavaForConditionalGeneration.from_pretrained(
        arguments.model, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    require_whole(report)
    model.eval()
    prepare = Preparation(arguments.model, model)
    arguments.out.mkdir(parents=True, exist_ok=True)
    prompts, tensors = {}, {}
    for index, (*images, question) in enumerate(arguments.ask):
        name = str(index)
        names = [keep_image(Path(image), name, position, arguments.out) for position, image in enumerate(images)]
        text = arguments.template.replace("{}", place_images(question, len(names)))
        inputs = prepare(text, [ImageOps.exif_transpose(Image.open(image)).convert("RGB") for image in images])
        facts, arrays = run(model, inputs, arguments.max_tokens)
        answer = prepare.tokenizer.decode(facts["greedy"], skip_special_tokens=True)
        compact = prepare.compact_ids(text)
        prompts[name] = {"text": text, "pictures": names, "compactIds": compact} | facts | {"answer": answer}
        tensors |= {f"{name}.{key}": value for key, value in arrays.items()}
        print(f"{' '.join(images)} {question!r} -> {answer!r}", flush=True)
    save_file(tensors, arguments.out / "golden.safetensors")
    golden = {"transformers": transformers_version, "torch": torch.__version__, "prompts": prompts}
    (arguments.out / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", type=Path, help="model folder")
    parser.add_argument("out", type=Path, help="folder for the golden; made if it is missing")
    parser.add_argument("--ask", nargs="+", action="append", required=True, metavar="IMAGE… QUESTION")
    parser.add_argument("--template", default="USER: {} ASSISTANT:", help="{} is where the question goes")
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def require_whole(report: dict) -> None:
    """Transformers only warns of these and fills in random weights; for a shipped model each is a defect."""
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[kind]:
            raise SystemExit(f"The folder does not load cleanly: {kind} {sorted(report[kind])}")


class Preparation:
    """Text and images to the model's inputs: by the folder's processor, or by its two halves where it has none."""

    def __init__(self, folder: Path, model: LlavaForConditionalGeneration) -> None:
        self.image_id = model.config.image_token_id
        self.tokens_per_image = count_image_tokens(model.config)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.pixels = AutoImageProcessor.from_pretrained(folder, use_fast=False)
        has_whole = (folder / "processor_config.json").exists()
        self.whole = AutoProcessor.from_pretrained(folder, use_fast=False) if has_whole else None

    def __call__(self, text: str, images: list[Image.Image]) -> dict[str, torch.Tensor]:
        if self.whole is not None:
            inputs = self.whole(text=text, images=images or None, return_tensors="pt")
        else:
            image = self.tokenizer.convert_ids_to_tokens(self.image_id)
            inputs = self.tokenizer(text.replace("<image>", image * self.tokens_per_image), return_tensors="pt")
            if images:
                inputs |= self.pixels(images, return_tensors="pt")
        return {key: inputs[key] for key in ("input_ids", "attention_mask", "pixel_values") if key in inputs}

    def compact_ids(self, text: str) -> list[int]:
        """The rule of LLaVA's tokenizer_image_token: pieces tokenized on their own, the begin token only in front."""
        pieces = [self.tokenizer(piece)["input_ids"] for piece in text.split("<image>")]
        begin = self.tokenizer.bos_token_id
        offset = int(bool(pieces[0]) and pieces[0][0] == begin)
        ids = pieces[0][:offset]
        for index, piece in enumerate(pieces):
            ids += ([COMPACT_IMAGE] if index > 0 else []) + piece[offset:]
        return ids


def count_image_tokens(config) -> int:
    patches = (config.vision_config.image_size // config.vision_config.patch_size) ** 2
    return patches + (config.vision_feature_select_strategy == "full")


def place_images(question: str, images: int) -> str:
    return question if "<image>" in question else "<image>\n" * images + question


def keep_image(source: Path, prompt: str, position: int, out: Path) -> str:
    name = f"{prompt}-{position}{source.suffix}"
    shutil.copyfile(source, out / name)
    return name


@torch.no_grad()
def run(model: LlavaForConditionalGeneration, inputs: dict, max_tokens: int) -> tuple[dict, dict]:
    ids = inputs["input_ids"][0].tolist()
    arrays = {"logits": model(**inputs).logits[0]}
    if "pixel_values" in inputs:
        arrays["pixel_values"] = inputs["pixel_values"]
        arrays["features"] = torch.stack(tuple(model.get_image_features(inputs["pixel_values"])))
    answer = model.generate(**inputs, do_sample=False, max_new_tokens=max_tokens)[0, len(ids) :].tolist()
    facts = {"ids": ids, "greedy": answer, "margin": smallest_margin(model, inputs, answer)}
    return facts, {key: value.contiguous() for key, value in arrays.items()}


def smallest_margin(model: LlavaForConditionalGeneration, inputs: dict, answer: list[int]) -> float:
    """Between the best and the second logit over all steps, from one run over everything without a KV cache."""
    ids = torch.cat([inputs["input_ids"], torch.tensor([answer])], dim=1)
    steps = model(**(inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)})).logits[0]
    best = steps[-len(answer) - 1 : -1].topk(2, dim=-1)
    return (best.values[:, 0] - best.values[:, 1]).min().item()


if __name__ == "__main__":
    main()
