"""Runs a program of the original's checkout: original.py CHECKOUT MODULE [--stand-in-model] [its own flags].

Nothing in the checkout is changed. Two parts of it may be replaced, each with a note on stdout:
 - the package's own __init__, which imports its models and with them one version of transformers; the programs that need
   no model are run without it;
 - with --stand-in-model the loader of checkpoints, whose models need that version and weights: the module's server,
   registration, heartbeats and streaming are its own, the text comes from here.
"""

import importlib
import pathlib
import runpy
import sys
import types

WORDS = ["A ", "red ", "circle."]


def main():
    checkout, module, *flags = sys.argv[1:]
    open_package(pathlib.Path(checkout))
    if flags[:1] == ["--stand-in-model"]:
        flags = flags[1:]
        stand_in_model()
    sys.argv = [module, *flags]
    runpy.run_module(module, run_name="__main__")


def open_package(checkout):
    sys.path.insert(0, str(checkout))
    try:
        importlib.import_module("llava")
    except Exception as error:
        for name in [name for name in sys.modules if name.split(".")[0] == "llava"]:
            del sys.modules[name]
        package = types.ModuleType("llava")
        package.__path__ = [str(checkout / "llava")]
        sys.modules["llava"] = package
        print(f"NOTE without llava/__init__.py ({type(error).__name__})", flush=True)


def stand_in_model():
    import torch

    class Tokenizer:
        bos_token_id = 1

        def __call__(self, text):
            return types.SimpleNamespace(input_ids=[1] + [2] * len(text.split()))

    class Model:
        config = types.SimpleNamespace(max_position_embeddings=2048, image_aspect_ratio=None)
        device = torch.device("cpu")

        def get_vision_tower(self):
            return types.SimpleNamespace(num_patches=576)

        def generate(self, inputs, streamer, **options):
            for word in WORDS:
                streamer.on_finalized_text(word)
            streamer.on_finalized_text("", stream_end=True)

    class ImageProcessor:
        def __call__(self, images, return_tensors):
            return {"pixel_values": torch.zeros(len(images), 3, 336, 336)}

    builder = types.ModuleType("llava.model.builder")
    builder.load_pretrained_model = lambda *_, **__: (Tokenizer(), Model(), ImageProcessor(), 2048)
    model = types.ModuleType("llava.model")
    model.__path__ = []
    sys.modules["llava.model"] = model
    sys.modules["llava.model.builder"] = builder
    print("NOTE a stand-in for the model", flush=True)


if __name__ == "__main__":
    main()
