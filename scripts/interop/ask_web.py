"""Asks as the original's page does: ask_web.py CHECKOUT CONTROLLER_URL MODEL IMAGE.

Calls the web server module's own functions, from the list of models to the last event of an answer, as its page would, and
prints one line of JSON with the results. The conversation log that they write goes into the current folder.
"""

import argparse
import json
import pathlib
import sys
import types

from original import open_package

QUESTION = "What is the color of the circle?"


def main():
    checkout, controller_url, model, image_path = sys.argv[1:]
    open_package(pathlib.Path(checkout))
    import llava.serve.gradio_web_server as web
    from llava.conversation import default_conversation
    from PIL import Image

    web.args = argparse.Namespace(controller_url=controller_url, moderate=False)
    request = types.SimpleNamespace(client=types.SimpleNamespace(host="127.0.0.1"))
    models = web.get_model_list()
    turns = []
    state = default_conversation.copy()
    for image in (Image.open(image_path), None):
        state = web.add_text(state, QUESTION, image, "Default", request)[0]
        pieces = []
        for state, *_ in web.http_bot(state, model, 0.2, 0.7, 32, request):
            pieces.append(state.messages[-1][-1])
        turns.append({"events": len(pieces), "answer": pieces[-1]})
    logged = [path.name for path in pathlib.Path(".").glob("*-conv.json")]
    # Its logger has replaced stdout.
    print(json.dumps({"models": models, "turns": turns, "logged": logged}), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    main()
