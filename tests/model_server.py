"""A real HTTP server on this machine that serves a transformers model as vLLM does: completions of token ids,
echo, adapters.

``faults`` make it a worse one: a test's script sees every request first and may answer it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Answer = tuple[int, Any]
Script = Callable[[str, dict[str, Any]], Answer | None]


class ModelServer:
    """Serves the model of a folder as ``served``. ``requests``: (path, body) in order; ``adapters``: name ->
    folder.
    """

    def __init__(self, folder: Path, served: str = "tiny", script: Script = lambda path, body: None) -> None:
        self.folder, self.served, self.script = folder, served, script
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.adapters: dict[str, str] = {}
        self.max_model_len = 256
        self._models: dict[str, Any] = {}
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_GET(self) -> None:
                self._reply({})

            def do_POST(self) -> None:
                self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _reply(self, body: dict[str, Any]) -> None:
                with outer._lock:
                    path = self.path.removeprefix("/v1")
                    outer.requests.append((path, body))
                    outer.headers.append({k.lower(): v for k, v in self.headers.items()})
                    status, said = outer.script(path, body) or outer.answer(path, body)
                data = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def restart(self) -> None:
        """Forget what was loaded, as a new process would."""
        with self._lock:
            self.adapters.clear()
            self._models = {k: v for k, v in self._models.items() if k == self.served}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self, path: str) -> int:
        return sum(p == path for p, _ in self.requests)

    def answer(self, path: str, body: dict[str, Any]) -> Answer:
        if path == "/models":
            facts = {"max_model_len": self.max_model_len, "owned_by": "test"}
            return 200, {"data": [{"id": name, **facts} for name in (self.served, *self.adapters)]}
        if path == "/load_lora_adapter":
            if not Path(body["lora_path"], "adapter_config.json").is_file():
                return 404, {"error": {"message": f"No adapter found for {body['lora_path']}"}}
            self.adapters[body["lora_name"]] = body["lora_path"]
            return 200, "Success"
        if path == "/unload_lora_adapter":
            self._models.pop(body["lora_name"], None)
            return (
                (200, "Success")
                if self.adapters.pop(body["lora_name"], None)
                else (404, {"error": {"message": "no such adapter"}})
            )
        if path == "/completions":
            if body["model"] not in (self.served, *self.adapters):
                return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
            return 200, self._complete(body)
        return 404, {"detail": "Not Found"}

    def _complete(self, body: dict[str, Any]) -> dict[str, Any]:
        import torch
        from transformers import GenerationConfig

        model, tokenizer = self._model(body["model"])
        ids = torch.tensor([body["prompt"]])
        logprobs = None
        if body.get("echo"):
            with torch.inference_mode():
                steps = torch.log_softmax(model(input_ids=ids).logits[0].float(), -1)
            values = [
                None,
                *steps[:-1].gather(-1, ids[0, 1:, None])[:, 0].tolist(),
                -0.5,
            ]  # the last: a generated token
            logprobs = {
                "tokens": [*(tokenizer.decode([t]) for t in body["prompt"]), "x"],
                "token_logprobs": values,
            }
        torch.manual_seed(body.get("seed", 0))
        sampled = body["temperature"] > 0
        config = GenerationConfig(
            max_new_tokens=body["max_tokens"],
            do_sample=sampled,
            **({"temperature": body["temperature"], "top_p": body["top_p"], "top_k": 0} if sampled else {}),
            eos_token_id=body.get("stop_token_ids"),
            pad_token_id=tokenizer.pad_token_id,
        )
        with torch.inference_mode():
            new = model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config
            )[0, ids.shape[1] :].tolist()
        ended = new[-1] in body.get("stop_token_ids", [])
        choice: dict[str, Any] = {
            "text": tokenizer.decode(new, skip_special_tokens=True),
            "finish_reason": "stop" if ended else "length",
        }
        if body.get("return_token_ids"):
            choice["token_ids"] = new
        return {
            "choices": [choice | {"logprobs": logprobs}],
            "usage": {"prompt_tokens": ids.shape[1], "completion_tokens": len(new)},
        }

    def _model(self, name: str) -> tuple[Any, Any]:
        from iteralign.engines.weights import load

        if name not in self._models:
            place = self.adapters.get(name, str(self.folder))
            self._models[name] = load(
                place, device="cpu", precision="float32", template=None, warn=lambda text: None
            )
        return self._models[name]  # type: ignore[no-any-return]


@contextmanager
def serving(folder: Path, script: Script = lambda path, body: None) -> Iterator[ModelServer]:
    server = ModelServer(folder, script=script)
    try:
        yield server
    finally:
        server.close()
