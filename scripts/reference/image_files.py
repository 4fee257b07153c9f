"""Makes the image goldens of packages/processing/test/golden: six PNG files and what Pillow and numpy make of them.

Run by hand, never in CI:
    python -m venv /tmp/venv && /tmp/venv/bin/pip install -r scripts/reference/requirements.txt
    /tmp/venv/bin/python scripts/reference/image_files.py

Every expected value is a SHA-256, because equality to the last bit is what is promised, plus a few numbers in clear
that show where to look when it breaks.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageDraw, ImageOps

FOLDER = Path(__file__).resolve().parents[2] / "packages" / "processing" / "test" / "golden"
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
RESCALE = 0.00392156862745098
ORIENTATION = 0x0112


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    expected = {"pillow": PIL.__version__, "numpy": np.__version__, "mean": MEAN, "std": STD, "rescale": RESCALE}
    expected["pictures"] = {}
    for name, save in {
        "wide": lambda path: scene(301, 97).save(path, optimize=True),
        "tall": lambda path: scene(120, 643).save(path, optimize=True),
        "tiny": lambda path: scene(7, 5).save(path, optimize=True),
        "grayscale": lambda path: scene(200, 140).convert("L").save(path, optimize=True),
        "rgba": lambda path: transparent(180, 150).save(path, optimize=True),
        "rotated": lambda path: scene(160, 110).save(path, optimize=True, exif=exif(6)),
    }.items():
        save(FOLDER / f"{name}.png")
        image = upright_rgb(Image.open(FOLDER / f"{name}.png"))
        expected["pictures"][name] = {
            "width": image.width,
            "height": image.height,
            "rgb": digest(np.asarray(image)),
            "squares": [square(image, size, shape) for size in (336, 96) for shape in ("pad", "crop")],
        }
    (FOLDER / "pictures.json").write_text(json.dumps(expected, indent=1) + "\n")


def square(image: Image.Image, size: int, shape: str) -> dict:
    whole = pad_to_square(image) if shape == "pad" else image
    bytes_ = np.asarray(centre_crop(resize_shortest_edge(whole, size), size))
    values = normalise(bytes_)
    return {
        "size": size,
        "shape": shape,
        "bytes": digest(bytes_),
        "values": digest(values.astype("<f4")),
        "first": [int(v) for v in bytes_[0, 0]],
        "middle": [int(v) for v in bytes_[size // 2, size // 2]],
        "last": [int(v) for v in bytes_[-1, -1]],
        "middleValues": [float(v) for v in values[:, size // 2, size // 2]],
    }


def upright_rgb(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode != "RGBA":
        return image.convert("RGB")
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image.convert("RGB"), mask=image.getchannel("A"))
    return white


def pad_to_square(image: Image.Image) -> Image.Image:
    side = max(image.size)
    canvas = Image.new("RGB", (side, side), tuple(int(m * 255) for m in MEAN))
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return canvas


def resize_shortest_edge(image: Image.Image, size: int) -> Image.Image:
    longer = int(size * max(image.size) / min(image.size))
    shape = (size, longer) if image.width <= image.height else (longer, size)
    return image.resize(shape, resample=Image.Resampling.BICUBIC)


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


def normalise(bytes_: np.ndarray) -> np.ndarray:
    """[size, size, 3] bytes to [3, size, size] float32, with the roundings of transformers' numpy code."""
    scaled = (bytes_.astype(np.float64) * RESCALE).astype(np.float32)
    normal = (scaled - np.array(MEAN, dtype=np.float32)) / np.array(STD, dtype=np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1))


def scene(width: int, height: int) -> Image.Image:
    """Gradients, hard edges and a fine grid: smooth, overshooting and aliasing parts in one small file."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    red = x * 255 // max(width - 1, 1)
    green = y * 255 // max(height - 1, 1)
    blue = np.where((x // 2 + y // 2) % 2 == 0, 255, 0)
    image = Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse((width // 8, height // 6, width // 2, height * 2 // 3), fill=(255, 255, 255))
    draw.rectangle((width // 2, height // 2, width * 7 // 8, height * 7 // 8), fill=(10, 200, 30), outline=(0, 0, 0))
    draw.line((0, height - 1, width - 1, 0), fill=(255, 0, 255), width=2)
    return image


def transparent(width: int, height: int) -> Image.Image:
    image = scene(width, height).convert("RGBA")
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    image.putalpha(Image.fromarray(((x * 3 + y * 5) % 256).astype(np.uint8)))
    return image


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


if __name__ == "__main__":
    main()
