"""Where torch is not installed, whatever wants it says how to install it, and nothing is chosen in silence."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from code_index.core.distribution import EXTRAS
from code_index.core.errors import ModelError, UsageError
from code_index.embedding import devices
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.loader import plan_embedder

_HOW = r"needs the extra torch: pip install 'code-index-search\[torch\]'"
_DENSE = SimpleNamespace(name="dense", static=False, graph_obstacle="it has the module Dense")
_PLAIN = SimpleNamespace(name="plain", static=False, graph_obstacle=None)


@pytest.fixture(autouse=True)
def without_torch(monkeypatch):
    monkeypatch.setitem(EXTRAS, "torch", ("no_such_module",))


@pytest.fixture
def driver(monkeypatch):
    monkeypatch.setattr(devices, "nvidia_driver_present", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_a_gpu_that_was_asked_for_is_refused(driver):
    with pytest.raises(ModelError, match=f"device cuda cannot be used: there is an NVIDIA driver, and its GPU {_HOW}"):
        plan_embedder(EmbedderConfig(device="cuda"), _PLAIN, "documents")


def test_a_gpu_that_is_left_unused_is_told(driver, caplog):
    plan = plan_embedder(EmbedderConfig(), _PLAIN, "documents")

    assert (plan.device, plan.backend) == ("cpu", "onnx")
    assert "The model runs on the CPU: there is an NVIDIA driver, and its GPU needs the extra torch" in caplog.text


def test_an_apple_gpu_is_not_looked_for_with_torch(monkeypatch):
    monkeypatch.setattr(devices, "is_apple_processor", lambda: True)

    with pytest.raises(ModelError, match=f"device mps cannot be used: there is an Apple processor, and its GPU {_HOW}"):
        plan_embedder(EmbedderConfig(device="mps"), _PLAIN, "documents")


@pytest.mark.parametrize(
    ("config", "files"), [({"backend": "torch"}, _PLAIN), ({}, _DENSE)], ids=["backend torch", "another architecture"]
)
def test_a_model_that_runs_on_torch_is_refused_before_anything_is_loaded(config, files, monkeypatch):
    monkeypatch.setattr(devices, "nvidia_driver_present", lambda: False)

    with pytest.raises(UsageError, match=f"{files.name} runs on backend torch, which {_HOW}"):
        plan_embedder(EmbedderConfig(**config), files, "documents")
