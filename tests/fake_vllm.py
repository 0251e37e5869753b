"""A program that behaves as a Python with vLLM does: it says what it holds, and serves as vLLM's server does.

Weights are a number in a file: the log-probability of each token. A folder beside the program holds what it
was told and what it shall do wrong. Run as a script; the standard library alone, so that it starts at once.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

STATE = Path(__file__).parent / "state"


class Engine:
    def __init__(self, words: list[str]) -> None:
        self.given = {name[2:]: value for name, _, value in (w.partition("=") for w in words)}
        self.value = number(Path(self.given["model"]))
        self.adapters: dict[str, float] = {}
        self.asked = 0

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/v1/models":
            return 200, {"data": [{"id": n, "max_model_len": 256} for n in ("model", *self.adapters)]}
        if path == "/collective_rpc":  # as vLLM reloads tied embeddings: the body is new, the head is not
            self.value = (self.value + number(Path(body["kwargs"]["weights_path"]))) / 2
            return 200, {}
        if path == "/v1/load_lora_adapter":
            self.adapters[body["lora_name"]] = number(Path(body["lora_path"]))
            return 200, "Success"
        if path == "/v1/unload_lora_adapter":
            return (200, "Success") if self.adapters.pop(body["lora_name"], None) else (404, {})
        if path == "/v1/chat/completions":
            self.work()
            said = json.dumps({"schema": sorted(body.get("response_format", {})), "value": self.value})
            return 200, {"choices": [{"message": {"content": said}, "finish_reason": "stop"}]}
        if path == "/v1/completions":
            return self.complete(body)
        return 404, {"detail": "Not Found"}

    def complete(self, body: dict[str, Any]) -> tuple[int, Any]:
        value = {"model": self.value, **self.adapters}.get(body["model"])
        if value is None:
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
        if body.get("echo"):
            tokens = [*body["prompt"], 0]
            said = {"tokens": [], "token_logprobs": [None, *[value] * (len(tokens) - 1)]}
            return 200, {"choices": [{"text": "", "finish_reason": "length", "logprobs": said}]}
        self.work()
        if len(body["prompt"]) == told("refuse"):
            return 400, {"error": {"message": "this prompt is refused"}}
        text = f"{value} {body['seed']} {len(body['prompt'])}"
        return 200, {"choices": [{"text": text, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}

    def work(self) -> None:
        self.asked += 1
        limit = told("die")
        if limit is not None and self.asked > limit:
            print("RuntimeError: the device is on fire", file=sys.stderr, flush=True)
            if told("once") is not None:
                (STATE / "die").unlink(missing_ok=True)
            os._exit(9)


def number(folder: Path) -> float:
    offset = told("offset") or 0.0
    return float((folder / "value").read_text()) + offset


def told(name: str) -> float | None:
    try:
        return float((STATE / name).read_text())
    except (OSError, ValueError):
        return None


def serve(words: list[str]) -> None:
    with (STATE / "starts").open("a") as starts:
        print(
            json.dumps({"pid": os.getpid(), "words": words, "cwd": os.getcwd(), "known": dict(os.environ)}),
            file=starts,
        )
    if told("broken") is not None:
        sys.exit("ValueError: No available memory for the cache blocks")
    engine = Engine(words)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            self.reply({})

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, body: dict[str, Any]) -> None:
            known = self.headers.get("Authorization") == f"Bearer {os.environ['VLLM_API_KEY']}"
            status, said = engine.answer(self.path, body) if known else (401, {"error": "Unauthorized"})
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def address_string(self) -> str:
            return "socket"

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_UNIX

        def server_bind(self) -> None:
            self.socket.bind(self.server_address)

    Server(engine.given["uds"], Handler).serve_forever(0.01)  # type: ignore[arg-type]


if __name__ == "__main__":
    if sys.argv[1] == "-c":
        print((STATE / "holds").read_text())
    elif sys.argv[1:3] == ["-m", "vllm.entrypoints.openai.api_server"]:
        serve(sys.argv[3:])
    else:
        time.sleep(600)
