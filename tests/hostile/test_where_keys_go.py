"""Recipes and runs from elsewhere that name a host and the variable of a key: none is sent unasked."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from iteralign.api import align, evaluate
from iteralign.build import consent
from iteralign.build.calibration import check_oracle
from iteralign.cli.main import app
from iteralign.engines.openai.address import Address
from iteralign.errors import EngineError, RecipeError, Unavailable
from iteralign.recipe.load import load_recipe

HOST = "collector.example"
URL = f"https://{HOST}/v1"
SECRET = "sk-0123456789abcdefghij"
CHECK = ("oracle", "check", "--labels", "labelled.jsonl")
CHAT = {"kind": "chat", "model": "m", "max_retries": 0}


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    row = {"prompt": "What is a tree?", "response": "A plant.", "label": "unsafe"}
    Path("labelled.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    for variable in ("OPENAI_API_KEY", "GITHUB_TOKEN", "PGPASSWORD", "MODEL_API_KEY"):
        monkeypatch.setenv(variable, SECRET)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses of the clients that are made; none can send."""
    made: list[str] = []

    def client(self: Address, server: Any, timeout: float, **more: Any) -> Any:
        made.append(server.url)
        raise Unavailable("nothing is sent here")

    monkeypatch.setattr(Address, "client", client)
    return made


def recipe(tmp_path: Path, **sections: Any) -> Path:
    path = tmp_path / "foreign.yaml"
    path.write_text(json.dumps({"name": "foreign", **sections}), encoding="utf-8")
    return path


def oracle(**keys: Any) -> dict[str, Any]:
    return {"oracle": CHAT | keys}


def jury(**keys: Any) -> dict[str, Any]:
    jurors = {"a": {"model": "m", "base_url": URL, "api_key_env": "GITHUB_TOKEN"}, "b": {"model": "embedded"}}
    return {"oracle": {"kind": "jury", "jurors": jurors} | keys}


SERVED = {
    "model": {
        "name": "served",
        "engine": "server",
        "base_url": URL,
        "api_key_env": "GITHUB_TOKEN",
    },
    "training": {"method": "lora", "keep_adapter": True},
}
ELSEWHERE = {
    "oracle": oracle(base_url=URL),
    "oracle, another variable": oracle(base_url=URL, api_key_env="GITHUB_TOKEN"),
    "proposer": oracle(base_url=URL, proposer="p"),
    "juror": jury(),
    "model": SERVED,
    "a guard's server": oracle(kind="guard", model="meta-llama/Llama-Guard-3-8B", base_url=URL),
    "a guard's server, beside the embedded proposer": oracle(
        kind="guard", model="meta-llama/Llama-Guard-3-8B", base_url=URL, proposer="embedded"
    ),
    "another key to OpenAI": oracle(api_key_env="GITHUB_TOKEN"),
    "a variable that is no key, here": oracle(base_url="http://127.0.0.1:9/v1", api_key_env="PGPASSWORD"),
    "a variable that is no key": oracle(base_url=URL, api_key_env="PGPASSWORD"),
    "like this machine": oracle(base_url="http://localhost.collector.example/v1"),
    "like this machine's number": oracle(base_url="http://127.0.0.1.collector.example/v1"),
    "a number": oracle(base_url="http://2130706433/v1"),
    "like OpenAI": oracle(base_url="https://api.openai.com.collector.example/v1"),
}
FREE = {
    "OpenAI": oracle(),
    "OpenAI by address": oracle(base_url="https://api.openai.com/v1"),
    "this machine": oracle(base_url="http://localhost:9/v1"),
    "this machine by number": oracle(base_url="http://127.8.0.1:9/v1", api_key_env="GITHUB_TOKEN"),
    "this machine by six": oracle(base_url="http://[::1]:9/v1"),
    "no key is set": oracle(base_url=URL, api_key_env="NOT_SET_KEY"),
}


def call(*args: str, code: int = 2, answer: str | None = None) -> str:
    result = CliRunner().invoke(app, list(args), input=answer)
    assert result.exit_code == code, result.output
    assert SECRET not in result.output
    assert isinstance(result.exception, SystemExit | None)
    return result.output


@pytest.mark.parametrize("case", ELSEWHERE)
def test_a_key_is_not_sent_where_a_file_says(case: str, tmp_path: Path, sent: list[str]) -> None:
    path = recipe(tmp_path, **ELSEWHERE[case])
    said = call("run", str(path), "--out", "out", "--quiet")
    assert "--allow-host" in said
    assert "would be sent to" in said
    assert not sent
    assert not Path("out").exists()


@pytest.mark.parametrize("case", FREE)
def test_this_machine_and_the_default_are_free(case: str, tmp_path: Path, sent: list[str]) -> None:
    said = call(*CHECK, "--recipe", str(recipe(tmp_path, **FREE[case])), code=7)
    assert "nothing is sent here" in said
    assert sent
    assert not consent.memory().exists()


@pytest.mark.parametrize(
    "command",
    [
        ("run", "{}", "--out", "out"),
        (*CHECK, "--recipe", "{}"),
        ("judge", "labelled.jsonl", "--out", "o.jsonl", "--recipe", "{}"),
        ("propose", "labelled.jsonl", "--out", "o.json", "--recipe", "{}"),
        ("evaluate", "--tasks", "harm", "--limit", "1", "--recipe", "{}", "--out", "out"),
    ],
)
def test_every_command_asks(command: tuple[str, ...], tmp_path: Path, sent: list[str]) -> None:
    path = str(recipe(tmp_path, **oracle(base_url=URL)))
    args = [a.replace("{}", path) for a in command]
    assert f"--allow-host {HOST}" in call(*args)
    assert not sent
    if command[0] in ("oracle", "judge"):  # the others have much to do before they send
        call(*args, "--allow-host", HOST, code=7)
        assert sent


def test_self_align_asks(tmp_path: Path, sent: list[str]) -> None:
    path = recipe(tmp_path, method="self-align", **oracle(base_url=URL), model={"name": "organism-rules"})
    assert HOST in call("self-align", str(path), "--out", "out")
    assert not sent


def test_what_was_confirmed_is_remembered_by_host_and_variable(tmp_path: Path, sent: list[str]) -> None:
    path = recipe(tmp_path, **oracle(base_url=URL))
    check = (*CHECK, "--recipe", str(path))
    call(*check, "--allow-host", f"https://{HOST.upper()}:443/v1", code=7)
    assert consent.memory().stat().st_mode & 0o777 == 0o600
    call(*check, code=7)
    other = recipe(tmp_path, **oracle(base_url=URL, api_key_env="GITHUB_TOKEN"))
    assert "GITHUB_TOKEN" in call(*CHECK, "--recipe", str(other))
    assert len(sent) == 2


def test_an_address_that_the_user_typed_is_the_users(tmp_path: Path, sent: list[str]) -> None:
    check = (*CHECK, "--recipe", str(recipe(tmp_path, **oracle())))
    call(*check, "--set", f"oracle.base_url={URL}", code=7)
    hidden = recipe(tmp_path, **oracle(api_key_env="PGPASSWORD"))
    assert "PGPASSWORD" in call(*CHECK, "--recipe", str(hidden), "--set", f"oracle.base_url={URL}")
    call(*check, "--set", "oracle.api_key_env=GITHUB_TOKEN", code=7)
    assert len(sent) == 2
    settings = (
        "oracle.kind=guard",
        "oracle.model=Llama-Guard-3",
        f"oracle.base_url={URL}",
        "oracle.proposer=p",
    )
    typed = [word for s in (*settings, f"oracle.proposer_url={URL}") for word in ("--set", s)]
    assert "--allow-host" not in call(*CHECK, *typed, code=7)


def test_what_one_command_was_told_is_not_told_to_the_next(tmp_path: Path, sent: list[str]) -> None:
    path = recipe(tmp_path, **oracle(base_url=URL))
    call(*CHECK, "--recipe", str(path), "--allow-host", HOST, code=7)
    consent.memory().unlink()
    call(*CHECK, "--recipe", str(path))
    assert len(sent) == 1


def test_the_environment_may_allow_hosts(
    tmp_path: Path, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(consent.HOSTS, f"a.example, {HOST}")
    call(*CHECK, "--recipe", str(recipe(tmp_path, **oracle(base_url=URL))), code=7)
    assert sent
    assert not consent.memory().exists()


@pytest.mark.parametrize("answer", ["y", "n", ""])
def test_a_terminal_asks_once(
    answer: str, tmp_path: Path, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def ask(to: consent.Destination) -> bool:
        asked.append(str(to))
        return answer == "y"

    path = recipe(tmp_path, **oracle(base_url=URL))
    for _ in range(2):
        with consent.consent(ask), pytest.raises(EngineError if answer == "y" else RecipeError):
            check_oracle(load_recipe(path), Path("labelled.jsonl"))
    assert len(asked) == (1 if answer == "y" else 2)
    assert HOST in asked[0]
    assert "OPENAI_API_KEY" in asked[0]
    assert bool(sent) == (answer == "y")


def test_a_run_from_elsewhere_asks_before_it_goes_on(
    interrupted: Any, tmp_path: Path, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = interrupted("judge")
    with sqlite3.connect(run / "run.sqlite") as db:
        (text,) = db.execute("SELECT value FROM meta WHERE key = 'settings'").fetchone()
        settings = json.loads(text)
        settings["oracle"] |= CHAT | {"base_url": URL}
        db.execute("UPDATE meta SET value = ? WHERE key = 'settings'", (json.dumps(settings),))
    monkeypatch.undo()
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert f"--allow-host {HOST}" in call("resume", str(run))
    assert not sent


def test_python_has_the_keyword(tmp_path: Path, sent: list[str]) -> None:
    path = recipe(tmp_path, **oracle(base_url=URL))
    with pytest.raises(RecipeError, match="allow_hosts"):
        align(path, "out")
    with pytest.raises(RecipeError, match="allow_hosts"):
        evaluate(tasks="harm", recipe=path, out="out")
    with pytest.raises(RecipeError, match="allow_hosts"):
        align(load_recipe(path), "out")
    assert not sent
    with pytest.raises(EngineError, match="nothing is sent here"):
        align(path, "out", allow_hosts=[HOST])
    assert sent


@pytest.mark.parametrize("content", ["[]", "{", '{"confirmed": 1}', '{"confirmed": [1, [2], null]}', "null"])
def test_a_broken_memory_confirms_nothing(content: str, tmp_path: Path, sent: list[str]) -> None:
    path = consent.memory()
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    call(*CHECK, "--recipe", str(recipe(tmp_path, **oracle(base_url=URL))))
    assert not sent


def test_a_memory_that_others_may_write_confirms_nothing(tmp_path: Path, sent: list[str]) -> None:
    path = consent.memory()
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"confirmed": [[HOST, "OPENAI_API_KEY"]]}), encoding="utf-8")
    check = (*CHECK, "--recipe", str(recipe(tmp_path, **oracle(base_url=URL))))
    path.chmod(0o666)
    call(*check)
    path.chmod(0o600)
    call(*check, code=7)
    assert len(sent) == 1
