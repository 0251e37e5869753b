"""Where a server is: Azure's addresses, the wrong protocol, and what the environment says of proxies."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from iteralign.engines.openai.address import Address
from iteralign.engines.openai.generator import OpenAIEngine
from iteralign.errors import EngineError, RecipeError, Unavailable
from iteralign.recipe.load import load_recipe
from iteralign.records.chat import SamplingParams
from patience import PATIENCE
from scripted_server import KEY, Reply, Serve, bad, chats, good

PARAMS = SamplingParams(max_new_tokens=16, temperature=0.0)


def engine(url: str, model: str = "m") -> OpenAIEngine:
    return OpenAIEngine(model, url, "TEST_KEY", warn=lambda text: None, backoff=0.01, timeout=PATIENCE)


# ---- Azure


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://n.openai.azure.com?api-version=1", "https://n.openai.azure.com/openai/deployments/m"),
        ("https://n.openai.azure.com/openai/?api-version=1", "https://n.openai.azure.com/openai/deployments/m"),
        ("https://gateway/openai/deployments/d?api-version=1", "https://gateway/openai/deployments/d"),
        ("https://gateway/openai/deployments/d/chat/completions?api-version=1", "https://gateway/openai/deployments/d"),
        ("https://n.openai.azure.com/openai/v1?api-version=1", "https://n.openai.azure.com/openai/v1"),
    ],
)  # fmt: skip
def test_an_address_of_azure_is_understood_as_its_pages_show_it(given: str, url: str) -> None:
    assert Address.of(given, "m") == Address(url, "1")


def test_an_address_with_the_path_of_the_endpoint_is_cut_to_its_base() -> None:
    assert Address.of("http://host:1/v1/chat/completions", "m") == Address("http://host:1/v1")
    assert Address.of("http://host:1/v1/completions/", "m") == Address("http://host:1/v1")
    assert Address.of("http://host:1/v1/", "m") == Address("http://host:1/v1/")


class Azure(BaseHTTPRequestHandler):
    """Answers as Azure's classic API: by path, version and ``api-key``."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        right = self.path == "/openai/deployments/my-judge/chat/completions?api-version=2024-06-01"
        known = self.headers.get("api-key") == KEY and "Authorization" not in self.headers
        token = (
            self.headers.get("Authorization") == "Bearer eyJhbGc.eyJzdWI.sig"
            and "api-key" not in self.headers
        )
        status, body = (200, good("said")) if right and (known or token) else (404, bad(self.path))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def azure() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Azure)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("key", [KEY, "eyJhbGc.eyJzdWI.sig"], ids=["key", "token"])
@pytest.mark.parametrize("path", ["", "/openai/deployments/my-judge"])
def test_a_classic_address_of_azure_is_asked_as_it_wants(
    azure: str, monkeypatch: pytest.MonkeyPatch, key: str, path: str
) -> None:
    monkeypatch.setenv("TEST_KEY", key)
    made = engine(f"{azure}{path}?api-version=2024-06-01", "my-judge")
    assert made.generate(chats(1), PARAMS)[0].text == "said"


def test_a_recipe_takes_the_api_version_and_no_other_query() -> None:
    start = ["oracle.kind=chat", "oracle.model=m"]
    url = "https://n.openai.azure.com/openai/deployments/d?api-version=2024-06-01"
    assert load_recipe("smoke", [*start, f"oracle.base_url={url}"]).oracle.base_url == url
    for query in ("api-key=123", "api-version=1&code=secret", "code=secret"):
        with pytest.raises(RecipeError, match=r"oracle\.base_url holds a user, a password or a query"):
            load_recipe("smoke", [*start, f"oracle.base_url=https://h/v1?{query}"])


# ---- the wrong protocol


def test_https_for_a_server_of_http_is_said_at_once(serve: Serve) -> None:
    server = serve(lambda r, _: None)
    wrong = server.url.replace("http:", "https:")
    with pytest.raises(
        Unavailable, match=rf"speaks http, not https: give {server.url} as base_url"
    ) as caught:
        engine(wrong).generate(chats(1), PARAMS)
    assert "gave up" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 497])
def test_http_for_a_server_of_https_is_said_at_once(serve: Serve, status: int) -> None:
    page = b"<html><h1>400 Bad Request</h1>The plain HTTP request was sent to HTTPS port</html>"
    server = serve(lambda r, _: Reply(status, page))
    https = server.url.replace("http:", "https:")
    with pytest.raises(EngineError, match=rf"speaks https, not http: give {https} as base_url"):
        engine(server.url).generate(chats(1), PARAMS)
    assert len(server.requests) == 1


def test_a_server_of_tls_that_answers_in_its_own_way_is_known() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def alert() -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46")  # what OpenSSL says to a request in plain text
        connection.close()

    threading.Thread(target=alert, daemon=True).start()
    with listener, pytest.raises(Unavailable, match=r"does not answer in http.*give https://"):
        engine(f"http://127.0.0.1:{listener.getsockname()[1]}/v1").generate(chats(1), PARAMS)


# ---- the environment


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ALL_PROXY", "socks4://u:hidden@127.0.0.1:9", "variable ALL_PROXY"),
        ("HTTPS_PROXY", "gopher://127.0.0.1:9", "variable HTTPS_PROXY"),
        ("http_proxy", "ftp://127.0.0.1:9", "variable http_proxy"),
    ],
)
def test_a_proxy_that_no_client_can_use_is_named(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    server = serve(lambda r, _: None)
    monkeypatch.setenv(name, value)
    with pytest.raises(Unavailable, match=rf"{told} names the proxy: .*or unset the variable") as caught:
        engine(server.url).generate(chats(1), PARAMS)
    assert "hidden" not in str(caught.value)
    assert server.requests == []


def test_a_library_that_a_proxy_needs_is_named(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    import openai

    def no_socks(**_: object) -> None:
        raise ImportError("Using SOCKS proxy, but the 'socksio' package is not installed.")

    server = serve(lambda r, _: None)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setattr(openai, "AsyncOpenAI", no_socks)
    with pytest.raises(Unavailable, match=r"variable ALL_PROXY names the proxy: install socksio"):
        engine(server.url).generate(chats(1), PARAMS)


def test_certificates_that_are_not_there_are_named(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = serve(lambda r, _: None)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(Unavailable, match="SSL_CERT_FILE must name certificates that can be read"):
        engine(server.url).generate(chats(1), PARAMS)


def test_a_proxy_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "localhost")
    made = OpenAIEngine("m", "http://judge.example/v1", "TEST_KEY", max_retries=0, warn=lambda text: None)
    with pytest.raises(Unavailable, match="cannot be reached through the proxy of http_proxy"):
        made.generate(chats(1), PARAMS)
