"""What a model's tensors hold, as checksums: exact, and the same on every device.

A cast from float32 rounds alike everywhere, so a trainer's float32 weights say what a load in a narrower
precision must hold, bit for bit. Knows no files, no checkpoints and no log-probabilities.
"""

from __future__ import annotations

from typing import Any

Digests = dict[str, dict[str, str]]
"""Tensor's name -> precision -> checksum in that precision."""

NARROWER = ("bfloat16", "float16")
"""What float32 tensors may be cast to by a load."""
_BLOCK = 1 << 14
"""Words of 64 bits: what stays in a processor's cache."""
_ODD = 0x9E3779B97F4A7C15 - (1 << 64)
"""2^64 over the golden ratio, as a signed integer."""


def digests(model: Any) -> Digests:
    """The checksums of all tensors of a model, and of what its adapters are multiplied with.

    A float32 tensor has one for each narrower precision, too; any other has its own alone.
    """
    found: Digests = {}
    for name, tensor in _tensors(model):
        own = _precision(tensor)
        kinds = [own, *NARROWER] if own == "float32" else [own]
        found[name] = {kind: checksum(_cast(tensor, kind)) for kind in kinds}
    return found | _adapters(model)


def unlike(model: Any, written: Digests) -> list[str]:
    """Names of tensors that are missing, added, or hold other values than ``written`` says; sorted."""
    adapters = _adapters(model)
    tensors = _tensors(model)
    wrong = {n for n, kinds in adapters.items() if written.get(n) != kinds}
    wrong |= {n for n, tensor in tensors if not _alike(tensor, written.get(n, {}))}
    return sorted(wrong | (set(written) - set(adapters) - {n for n, _ in tensors}))


def apart(a: Digests, b: Digests) -> list[str]:
    """Names of tensors that two sets of checksums do not agree on; sorted.

    They agree where one precision is in both, with the same checksum.
    """
    return sorted(
        n
        for n in {*a, *b}
        if not any(kind in b.get(n, {}) and b[n][kind] == v for kind, v in a.get(n, {}).items())
    )


def checksum(tensor: Any) -> str:
    """A checksum of a tensor's bits and their places, modulo 2^64; integers add up alike in any order."""
    import torch

    bits = tensor.detach().contiguous().view(-1).view(torch.uint8)
    short = -bits.numel() % 8
    if short or bits.storage_offset() % 8:  # words begin and end at multiples of eight bytes
        bits = torch.cat([bits, bits.new_zeros(short)])
    words = bits.view(torch.int64)
    total = 0
    weights = torch.arange(1, 1 + min(_BLOCK, words.numel()), dtype=torch.int64, device=words.device) * _ODD
    weights = (weights ^ (weights >> 29)) | 1
    sums = [
        (words[start : start + _BLOCK] * weights[: words.numel() - start]).sum()
        for start in range(0, words.numel(), _BLOCK)
    ]
    # one wait for the device, not one a block
    for found in torch.stack(sums).tolist() if sums else []:
        total = (total * _ODD + found) % (1 << 64)
    return f"{total:016x}"


def _alike(tensor: Any, written: dict[str, str]) -> bool:
    own = _precision(tensor)
    if own in written:
        return checksum(tensor) == written[own]
    if own == "float32" and written:  # written narrower: what rounds to it is as near as can be known
        kind = next(iter(written))
        return checksum(_cast(tensor, kind)) == written[kind]
    # of two narrow precisions neither tells the other: the probe's log-probability has to
    return own in NARROWER and bool(set(NARROWER) & set(written))


def _tensors(model: Any) -> list[tuple[str, Any]]:
    import torch

    return [
        # integers of 64 bits are not whole on every kind of device
        (name, tensor.cpu() if tensor.device.type == "mps" else tensor)
        for name, tensor in model.state_dict().items()
        if isinstance(tensor, torch.Tensor)
    ]


def _adapters(model: Any) -> Digests:
    """How each adapted layer applies its adapter: that it does, and what with."""
    found: Digests = {}
    for name, layer in model.named_modules():
        if hasattr(layer, "active_adapters") and isinstance(getattr(layer, "scaling", None), dict):
            on = {a: round(float(layer.scaling[a]), 9) for a in layer.active_adapters if a in layer.scaling}
            state = "off" if layer.disable_adapters else "merged" if layer.merged else "on"
            found[f"{name} (adapter)"] = {"scale": f"{state} {on}"}
    return found


def _precision(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _cast(tensor: Any, precision: str) -> Any:
    import torch

    return tensor.to(getattr(torch, precision))
