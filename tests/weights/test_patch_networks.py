"""Weights of patch networks on disk."""

import pytest
import torch

from localize.networks.patches import patch_network
from localize.types import InputError
from localize.weights.patches import load_weights, save_weights
from tests.conftest import break_file


def test_weights_go_to_disk_and_back(tmp_path):
    module = patch_network("l2net128").train()
    with torch.no_grad():
        module(255 * torch.rand(8, 1, 32, 32))  # fills the statistics of the norms
        for parameter in module.parameters():
            parameter.copy_(parameter.half())
    module.eval()
    path = tmp_path / "weights.safetensors"
    save_weights(path, module, "l2net128", {"steps": "3"})
    again, metadata = load_weights(path)
    assert metadata == {"steps": "3", "network": "l2net128"}
    assert not again.training
    assert all(p.requires_grad for p in again.parameters())
    batch = torch.rand(5, 1, 32, 32)
    assert torch.equal(module(batch), again(batch))
    assert {t.dtype for t in again.state_dict().values()} == {torch.float32, torch.int64}
    assert path.stat().st_size < 2.2 * sum(t.numel() for t in module.state_dict().values())
    with torch.no_grad():
        next(module.parameters()).fill_(1e6)
    with pytest.raises(ValueError, match="half precision"):
        save_weights(path, module, "l2net128", {})


def test_bad_weights_files_are_named(tmp_path):
    path = tmp_path / "w.safetensors"

    def refused(said):
        with pytest.raises(InputError, match=said) as error:
            load_weights(path)
        assert str(path) in str(error.value)

    refused("is missing: give a file that")
    save_weights(path, patch_network("l2net128"), "l2net128", {})
    break_file(path, lambda whole: whole[:-1000])
    refused("is cut off or no weights file")
    path.write_bytes(b"no weights at all")
    refused("is cut off or no weights file")
    save_weights(path, torch.nn.Linear(2, 2), "resnet", {})
    refused("is of network 'resnet': give weights of one of crbnet256,")
    save_weights(path, torch.nn.Linear(2, 2), "l2net128", {})
    refused("says that it is of l2net128, but its tensors are others")
