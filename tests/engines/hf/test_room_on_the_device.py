"""Large models stay loaded beside each other where the device has room, and give way where it has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from iteralign.engines import turns
from iteralign.engines.turns import BATCH, KEEP_WARM, loading_bytes, take


class Held:
    def __init__(self, size: int) -> None:
        self.size = size

    def held(self) -> int:
        return self.size

    def free(self) -> None:
        self.size = 0


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> Held:
    monkeypatch.setattr(turns, "_HOLDERS", type(turns._HOLDERS)())
    monkeypatch.setattr(turns, "spare", lambda: 100.0)
    policy = Held(KEEP_WARM + 1)
    take(policy)
    return policy


def test_a_policy_stays_through_a_training_that_fits_beside_it(policy: Held) -> None:
    assert not take(None, lambda: 100.0)
    assert policy.held()
    assert take(None, lambda: 101.0)
    assert not policy.held()


def test_the_gpus_room_is_not_that_of_models_on_the_host(policy: Held) -> None:
    assert take(None, lambda: 1.0, device="cpu")
    assert not policy.held()


def test_where_the_need_is_not_known_all_room_is_given_back(policy: Held) -> None:
    small = Held(KEEP_WARM)
    take(small, lambda: 0.0)
    judge = Held(0)
    assert take(judge)
    assert (policy.held(), small.held()) == (0, KEEP_WARM)
    judge.size = KEEP_WARM + 1
    assert not take(judge)  # its own is not asked for
    assert judge.held()


def test_what_a_load_takes_follows_from_the_files(tmp_path: Path) -> None:
    assert loading_bytes(tmp_path, "bfloat16") == float("inf")
    (tmp_path / "model.safetensors").write_bytes(bytes(1000))
    assert loading_bytes(tmp_path, "bfloat16") == 1000 + BATCH
    assert loading_bytes(tmp_path, "float32") == 2000 + BATCH


def test_without_a_gpu_nothing_stays() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert turns.spare() == 0.0
