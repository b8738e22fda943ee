"""Which device, backend and precision are taken, why, and that nothing heavy is loaded to find out."""

from __future__ import annotations

import subprocess
import sys
import threading
from importlib.machinery import ModuleSpec
from types import SimpleNamespace

import pytest

from code_index.core.errors import ModelError, SettingsError
from code_index.embedding import devices, loader
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.deterministic import DeterministicEmbedder
from code_index.embedding.loader import get_embedder, load_embedder, plan_embedder
from code_index.index.settings import Settings
from code_index.system import hardware
from resources.embedder_resource import EmbedderResource

PLAIN = SimpleNamespace(name="plain", static=False, graph_obstacle=None)
DENSE = SimpleNamespace(name="dense", static=False, graph_obstacle="it has the module Dense")


@pytest.fixture
def machine(monkeypatch):
    """A function that says what the machine has: `cuda`, `mps`, `int8`."""

    def has(*things):
        monkeypatch.setattr(devices, "cuda_obstacle", lambda index: None if "cuda" in things else "no NVIDIA driver")
        monkeypatch.setattr(devices, "mps_obstacle", lambda: None if "mps" in things else "no Apple processor")
        monkeypatch.setattr(loader, "has_fast_int8", lambda: "int8" in things)

    has("int8")
    return has


@pytest.mark.parametrize(
    ("has", "config", "files", "purpose", "expected"),
    [
        (["cuda", "mps", "int8"], {}, PLAIN, "documents", ("cuda:0", "torch", "auto")),
        (["mps", "int8"], {}, PLAIN, "documents", ("mps", "torch", "auto")),
        (["int8"], {}, PLAIN, "documents", ("cpu", "onnx", "int8")),
        ([], {}, PLAIN, "documents", ("cpu", "onnx", "float32")),
        (["int8"], {}, DENSE, "documents", ("cpu", "torch", "auto")),
        (["int8"], {"backend": "torch"}, PLAIN, "documents", ("cpu", "torch", "auto")),
        (["int8"], {"precision": "float32"}, PLAIN, "documents", ("cpu", "onnx", "float32")),
        (["cuda"], {"device": "cpu", "precision": "int8"}, PLAIN, "documents", ("cpu", "onnx", "int8")),
        (["cuda", "int8"], {"backend": "onnx"}, PLAIN, "documents", ("cpu", "onnx", "int8")),
        (["cuda", "int8"], {}, PLAIN, "query", ("cpu", "onnx", "int8")),
        (["cuda", "int8"], {}, DENSE, "query", ("cuda:0", "torch", "auto")),
        (["cuda", "int8"], {"device": "cuda:2"}, PLAIN, "query", ("cuda:2", "torch", "auto")),
    ],
)
def test_the_plan_fits_the_machine_the_model_and_the_purpose(machine, has, config, files, purpose, expected):
    machine(*has)
    plan = plan_embedder(EmbedderConfig(**config), files, purpose)
    assert (plan.device, plan.backend, plan.precision) == expected


def test_the_plan_says_why(machine):
    machine()
    reason = plan_embedder(EmbedderConfig(), DENSE, "documents").reason
    assert "no CUDA (no NVIDIA driver), no MPS (no Apple processor)" in reason
    assert "torch instead of ONNX Runtime: it has the module Dense" in reason
    assert "no fast int8" in plan_embedder(EmbedderConfig(), PLAIN, "documents").reason


def test_going_to_torch_for_the_models_sake_is_logged(machine, caplog):
    plan_embedder(EmbedderConfig(), DENSE, "documents")
    assert "dense runs on torch" in caplog.text


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_a_device_that_was_asked_for_is_never_replaced(machine, device):
    with pytest.raises(ModelError, match=f"device {device} cannot be used: no .*use device auto or cpu"):
        plan_embedder(EmbedderConfig(device=device), PLAIN, "documents")


def test_the_onnx_backend_is_never_replaced_when_asked_for(machine):
    with pytest.raises(ModelError, match="dense cannot run on backend onnx: it has the module Dense"):
        plan_embedder(EmbedderConfig(backend="onnx"), DENSE, "documents")


@pytest.mark.parametrize("choice", [{"backend": "torch", "precision": "int8"}, {"precision": "bfloat16"}])
def test_precision_and_backend_must_agree(machine, choice):
    with pytest.raises(SettingsError, match="precision = "):
        plan_embedder(EmbedderConfig(**choice), PLAIN, "documents")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": ""}, "model = ''"),
        ({"device": "gpu"}, "device = 'gpu'"),
        ({"device": "cuda:x"}, "device = 'cuda:x'"),
        ({"backend": "tf"}, "backend = 'tf'"),
        ({"precision": "int4"}, "precision = 'int4'"),
        ({"max_tokens": -1}, "max_tokens = -1"),
        ({"token_budget": -1}, "token_budget = -1"),
        ({"threads": -1}, "threads = -1"),
        ({"backend": "onnx", "device": "cuda"}, "onnx runs on the CPU"),
    ],
)
def test_impossible_settings_are_refused_by_name(values, message):
    with pytest.raises(SettingsError, match=message):
        EmbedderConfig(**values)


def test_no_cuda_without_a_driver_and_torch_is_not_asked(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(hardware, "_NVIDIA_DRIVER", tmp_path / "missing")
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it would raise
    monkeypatch.setattr(hardware.ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    assert devices.cuda_obstacle(0) == "no NVIDIA driver"


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_gpus_are_not_looked_for(monkeypatch, hidden):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    monkeypatch.setattr(devices, "nvidia_driver_present", lambda: True)
    assert devices.cuda_obstacle(0) == "CUDA_VISIBLE_DEVICES hides all GPUs"


def fake_torch(*, cuda=False, count=0, built=None, mps=False):
    return SimpleNamespace(
        __spec__=ModuleSpec("torch", None),
        __version__="9.9",
        version=SimpleNamespace(cuda=built),
        cuda=SimpleNamespace(is_available=lambda: cuda, device_count=lambda: count),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps)),
    )


@pytest.mark.parametrize(
    ("torch", "index", "obstacle"),
    [
        (fake_torch(), 0, "torch 9.9 is built without CUDA"),
        (fake_torch(built="12.8"), 0, "is built for CUDA 12.8 and finds no usable GPU"),
        (fake_torch(cuda=True, count=1), 1, "there are 1 GPUs"),
        (fake_torch(cuda=True, count=1), 0, None),
    ],
)
def test_a_driver_alone_is_not_enough_for_cuda(monkeypatch, torch, index, obstacle):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "nvidia_driver_present", lambda: True)
    monkeypatch.setitem(sys.modules, "torch", torch)
    found = devices.cuda_obstacle(index)
    assert found is None if obstacle is None else obstacle in found


def test_a_driver_is_seen_by_its_proc_entry_or_its_library(monkeypatch, tmp_path):
    monkeypatch.setattr(hardware.sys, "platform", "linux")
    monkeypatch.setattr(hardware, "_NVIDIA_DRIVER", tmp_path)
    assert hardware.nvidia_driver_present()
    monkeypatch.setattr(hardware, "_NVIDIA_DRIVER", tmp_path / "missing")
    monkeypatch.setattr(hardware.ctypes, "CDLL", lambda name: object())
    assert hardware.nvidia_driver_present()
    monkeypatch.setattr(hardware.sys, "platform", "darwin")
    assert not hardware.nvidia_driver_present()


def test_metal_needs_an_apple_processor_and_torchs_word(monkeypatch):
    monkeypatch.setattr(hardware.sys, "platform", "darwin")
    monkeypatch.setattr(hardware.platform, "machine", lambda: "x86_64")
    assert devices.mps_obstacle() == "no Apple processor"
    monkeypatch.setattr(hardware.platform, "machine", lambda: "arm64")
    monkeypatch.setitem(sys.modules, "torch", fake_torch())
    assert "no Metal support" in devices.mps_obstacle()
    monkeypatch.setitem(sys.modules, "torch", fake_torch(mps=True))
    assert devices.mps_obstacle() is None


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_every_librarys_memory_errors_are_known(error):
    assert devices.is_out_of_memory(error)


@pytest.mark.parametrize("error", [ValueError("shape"), RuntimeError("CUDA error: device-side assert triggered")])
def test_other_errors_are_not_about_memory(error):
    assert not devices.is_out_of_memory(error)


def test_a_lost_device_is_told_from_a_bad_batch():
    assert devices.is_device_lost(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert not devices.is_device_lost(RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"))


def test_one_embedder_a_process_and_configuration(monkeypatch):
    loads = []

    def load(config, purpose):
        loads.append((config, purpose))
        return DeterministicEmbedder()

    monkeypatch.setattr(loader, "load_embedder", load)
    monkeypatch.setattr(loader, "_LOADED", {})
    config = EmbedderConfig(model="x")
    found = []
    threads = [threading.Thread(target=lambda: found.append(get_embedder(config))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(embedder) for embedder in found}) == 1
    assert get_embedder(EmbedderConfig(model="y")) is not found[0]
    assert get_embedder(config, "query") is not found[0]
    assert len(loads) == 3


def test_a_failed_load_is_tried_again(monkeypatch):
    answers = [ModelError("not yet"), DeterministicEmbedder()]

    def load(config, purpose):
        answer = answers.pop(0)
        if isinstance(answer, ModelError):
            raise answer
        return answer

    monkeypatch.setattr(loader, "load_embedder", load)
    monkeypatch.setattr(loader, "_LOADED", {})
    with pytest.raises(ModelError, match="not yet"):
        get_embedder(EmbedderConfig(model="z"))
    assert isinstance(get_embedder(EmbedderConfig(model="z")), DeterministicEmbedder)


def test_the_deterministic_embedder_is_a_model_by_name():
    assert load_embedder(EmbedderConfig(model="deterministic")).model_id.startswith("deterministic-64")


def test_the_resource_gives_the_processs_embedder():
    resource = EmbedderResource(model="deterministic")
    assert resource.get() is EmbedderResource(model="deterministic").get()
    assert resource.get_for_queries().model_id == resource.get().model_id


def test_the_resource_has_every_choice_with_a_description_and_the_same_default():
    fields = EmbedderResource.model_fields
    assert EmbedderResource().embedder_config() == EmbedderConfig()
    for name, field in EmbedderConfig.model_fields.items():
        assert fields[name].description == field.description != "", name


def test_a_field_of_the_resource_takes_the_place_of_the_setting():
    settings = Settings.from_settings({"embed_threads": 2, "model_revision": "v1", "device": "cpu"})
    config = EmbedderResource(threads=0, revision="v2").embedder_config(settings)
    assert config == EmbedderConfig(threads=0, revision="v2", device="cpu")
    with pytest.raises(SettingsError, match="onnx runs on the CPU"):
        EmbedderResource(device="cuda").embedder_config(Settings.from_settings({"backend": "onnx"}))


@pytest.mark.parametrize("values", [{"device": "gpu"}, {"threads": -1}, {"precision": "int4"}, {"model": ""}])
def test_the_resource_refuses_impossible_values_when_made(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        EmbedderResource(**values)


def test_making_the_resource_imports_no_model_library_and_needs_no_model():
    code = (
        "import sys\n"
        "import code_index.embedding.loader\n"
        "light = {'dagster', 'lancedb'} & set(sys.modules)\n"
        "from resources.embedder_resource import EmbedderResource\n"
        "EmbedderResource(model='no/such-model', device='cuda')\n"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'transformers', 'sentence_transformers', 'tokenizers',\n"
        "         'huggingface_hub'} & set(sys.modules)\n"
        "print(sorted(light | heavy))\n"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "[]"
