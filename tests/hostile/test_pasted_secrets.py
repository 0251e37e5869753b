"""Keys and passwords that were pasted into a recipe or an option: refused, and not repeated."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from iteralign.cli.main import app
from iteralign.foreign.secrets import is_key, masked

SECRETS = (
    *(
        "sk-abcDEF0123456789abcdef",
        "sk-proj-abc_DEF-0123456789",
        "hf_abcdefGHIJ0123456789",
        "gsk_abcDEF0123456789",
    ),
    *("ghp_abcdefGHIJ0123456789abcd", "AKIAIOSFODNN7EXAMPLE", "abcdefABCDEF0123456789abcdef0123"),
)
OPTIONS = {
    "for the variable": "oracle.api_key_env={}",
    "for the variable, quoted": "oracle.api_key_env='{}'",
    "for a juror's variable": "oracle.jurors={{a: {{model: m, api_key_env: {}}}, b: {{model: m}}}}",
    "for the model's variable": "model.api_key_env={}",
    "as a key that there is not": "oracle.api_key={}",
    "as another key that there is not": "oracle.auth={}",
    "as a password": "oracle.base_url=https://me:{}@host.example/v1",
    "as a user": "oracle.base_url=https://{}@host.example/v1",
    "as a query": "oracle.base_url=https://host.example/v1?code={}",
    "in an address without its scheme": "oracle.base_url=me:{}@host.example/v1",
    "in a broken address": "oracle.base_url=https://me:{}@[host/v1",
    "in a section": "oracle={{api_key: {}}}",
    "in a section that is a value": "oracle.kind.api_key={}",
    "without a value": "{}",
    "in an unfinished quote": "oracle.api_key_env='{}",
    "in unfinished braces": "oracle={{api_key: {}",
    "as a number": "seed={}",
}
FILES = {
    "for the variable": "oracle: {{kind: chat, model: m, api_key_env: {}}}\n",
    "as a key that there is not": "oracle:\n  api_key: {}\n",
    "as a header": "oracle:\n  headers: {{authorization: Bearer {}}}\n",
    "in a line that is no YAML": "oracle:\n  api_key: {}: {{\n",
    "in an anchor": "oracle: *{}\n",
    "in a tag": "oracle: !{} 1\n",
    "in a number": "seed: !!int {}\n",
    "as the whole": "{}\n",
    "in an address": "oracle: {{kind: chat, model: m, base_url: 'https://me:{}@host.example/v1'}}\n",
    "as a juror": "oracle: {{kind: jury, jurors: {{a: {{model: m, api_key: {}}}}}}}\n",
    "twice": "oracle: {{api_key: {0}, api_key: {0}}}\n",
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("how", OPTIONS)
def test_a_secret_in_an_option_is_not_repeated(how: str, secret: str, tmp_path: Path) -> None:
    given = OPTIONS[how].format(secret)
    result = CliRunner().invoke(app, ["run", "--out", str(tmp_path / "out"), "--set", given])
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert secret not in result.output
    assert secret[4:] not in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("how", FILES)
def test_a_secret_in_a_file_is_not_repeated(how: str, secret: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(FILES[how].format(secret), encoding="utf-8")
    result = CliRunner().invoke(app, ["run", str(path), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    assert secret not in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name", ["OPENAI_API_KEY", "my_company_key_2024_production", "hf_token", "SK_TOKEN", "VLLM_KEY", "k" * 40]
)
def test_the_name_of_a_variable_is_no_key(name: str) -> None:
    assert not is_key(name)
    assert masked(f"oracle.api_key_env = {name}") in (f"oracle.api_key_env = {name}",)


@pytest.mark.parametrize(
    "text",
    [
        "stop.iterations = 5 (--set stop.iterations=5): it must be a whole number >= 1",
        "oracle.base_url = 'http://localhost:8000/v1' is not an address: give http://HOST:PORT/v1",
        "model.name=Qwen/Qwen2.5-72B-Instruct",
        "columns: prompt=goal,response=target_response",
    ],
)
def test_plain_messages_stay(text: str) -> None:
    assert masked(text) == text


@given(st.text(max_size=200))
def test_masking_takes_any_text(text: str) -> None:
    assert masked(masked(text)) == masked(text) or len(masked(text)) <= len(text) + 30
