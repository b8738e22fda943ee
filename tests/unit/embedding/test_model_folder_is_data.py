"""Nothing in a model folder is run: what a library would run or open as code is refused before it is loaded."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import sys
from pathlib import Path

import pytest

from code_index.core.errors import ModelError
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.loader import load_embedder
from code_index.embedding.models import onnx_cache, prepared_files, static_table
from code_index.embedding.models.data_only import require_data_only
from code_index.embedding.models.lookup import find_model
from code_index.embedding.models.model_files import load_model_files

TYPES = ["Transformer", "Pooling", "Normalize"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def marker(tmp_path):
    """The file that planted code makes when it runs."""
    return tmp_path / "code-has-run"


@pytest.fixture
def folder(tmp_path):
    """A model folder as most are, without numbers in its weights."""
    root = tmp_path / "model"
    files = {
        "modules.json": [
            {
                "idx": at,
                "name": str(at),
                "path": "" if at == 0 else f"{at}_{kind}",
                "type": f"sentence_transformers.models.{kind}",
            }
            for at, kind in enumerate(TYPES)
        ],
        "config.json": {"model_type": "bert", "max_position_embeddings": 512, "hidden_size": 32},
        "config_sentence_transformers.json": {"prompts": {"query": "", "document": ""}},
        "sentence_bert_config.json": {
            "max_seq_length": 128,
            "do_lower_case": False,
            "model_args": {"dtype": "float32"},
        },
        "tokenizer.json": {},
        "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "auto_map": None},
        "1_Pooling/config.json": {"pooling_mode_mean_tokens": True, "word_embedding_dimension": 32},
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(content))
    (root / "model.safetensors").write_bytes(b"weights")
    return root.resolve()


def change(path, **values):
    content = json.loads(path.read_text()) if path.exists() else {}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content | values))


def add_module(folder, **module):
    path = folder / "modules.json"
    path.write_text(json.dumps([*json.loads(path.read_text()), {"idx": 3, "name": "3", "path": "", **module}]))


def refused(folder, match):
    """Every way to the model says the same: its description, the embedder on ONNX Runtime and on torch."""
    with pytest.raises(ModelError, match=match):
        load_model_files(str(folder))
    for backend in ("onnx", "torch"):
        with pytest.raises(ModelError, match=match):
            load_embedder(EmbedderConfig(model=str(folder), backend=backend, device="cpu"))


def code(marker):
    return f"from pathlib import Path\nPath({str(marker)!r}).touch()\nclass Thing: pass\n"


class Bomb:
    """An object whose pickle makes the marker when it is opened."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def run_module(path):
    """What a library does with a model's own module."""
    spec = importlib.util.spec_from_file_location("planted", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_an_ordinary_folder_is_data(folder):
    require_data_only(folder)
    assert load_model_files(str(folder)).graph_obstacle is None


def test_the_built_in_model_is_data():
    require_data_only(find_model("all-MiniLM-L6-v2", allow_download=False))


@pytest.mark.parametrize(
    "place", ["evil.py", "1_Pooling/evil.py", "custom_generate/generate.py", ".git/x/evil.py", "a/native.so.1"]
)
def test_a_file_of_code_is_refused_wherever_it_lies(folder, marker, place):
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).write_text(code(marker))
    refused(folder, rf"{Path(place).name} is code, which is never run")
    assert not marker.exists()
    if place.endswith(".py"):
        run_module(folder / place)
        assert marker.exists(), "the planted code is not alive, so the test proves nothing"


@pytest.mark.parametrize(
    "kind",
    ["evil.Thing", "os.system", "my_module.sub.Transformer", "sentence_transformers.util.misc.importlib", 7, None],
)
def test_a_module_type_outside_of_the_library_is_refused(folder, kind):
    add_module(folder, type=kind)
    refused(folder, r"modules\.json has a module of 'type' .*not one of sentence-transformers' own")


@pytest.mark.parametrize("place", ["../elsewhere", "/etc", "1_Pooling/../../elsewhere", None])
def test_a_module_outside_of_the_folder_is_refused(folder, place):
    add_module(folder, type="sentence_transformers.models.Dense", path=place)
    refused(folder, r"modules\.json has a module in 'path' .*outside of the model's folder")


def test_a_routers_modules_are_checked_as_well(folder):
    add_module(folder, type="sentence_transformers.models.Router", path="3_Router")
    change(folder / "3_Router" / "router_config.json", types={"query_0": "evil.Thing"})
    refused(folder, r"router_config\.json has a module of 'type' 'evil\.Thing'")
    change(folder / "3_Router" / "router_config.json", types={"../../query": "sentence_transformers.models.Dense"})
    refused(folder, r"router_config\.json has a module in 'path' '\.\./\.\./query'")


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("config.json", {"auto_map": {"AutoModel": "evil.Thing"}}),
        ("config.json", {"text_config": {"auto_map": {"AutoConfig": "stranger/model--evil.Thing"}}}),
        ("config.json", {"custom_pipelines": {"embed": {"impl": "evil.Thing"}}}),
        ("config.json", {"attn_implementation": "stranger/kernel"}),
        ("config.json", {"_attn_implementation": {"text_config": "stranger/kernel@main"}}),
        ("config.json", {"transformers_weights": "elsewhere.bin"}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Thing", None]}}),
        ("tokenizer_config.json", {"tokenizer_class": "evil.Thing"}),
        ("processor_config.json", {"auto_map": {"AutoProcessor": "evil.Thing"}}),
        ("generation_config.json", {"custom_generate": "evil"}),
        ("config_sentence_transformers.json", {"trust_remote_code": True}),
        ("sentence_bert_config.json", {"model_args": {"trust_remote_code": True}}),
        ("sentence_bert_config.json", {"model_args": {"use_safetensors": False}}),
        ("sentence_bert_config.json", {"model_kwargs": {"attn_implementation": "stranger/kernel"}}),
        ("sentence_bert_config.json", {"tokenizer_args": {"cache_dir": "elsewhere"}}),
        ("sentence_bert_config.json", {"config_kwargs": ["trust_remote_code"]}),
        ("sentence_bert_config.json", {"tokenizer_name_or_path": "stranger/tokenizer"}),
        ("2_Dense/config.json", {"activation_function": "evil.Thing"}),
        ("2_Dense/config.json", {"activation_function": "torch.hub.load"}),
        ("2_Words/wordembedding_config.json", {"tokenizer_class": "evil.Thing"}),
    ],
)
def test_a_key_that_leads_to_code_or_elsewhere_is_refused_by_file_and_key(folder, file, values):
    change(folder / file, **values)
    (key,) = values
    inner = r"(auto_map|trust_remote_code|attn_implementation)"
    refused(folder, rf"{Path(file).name} has the key '({key}|{inner})' .*: it (names code|leads to|sets more)")


@pytest.mark.parametrize("activation", ["torch.nn.modules.activation.Tanh", "torch.nn.modules.linear.Identity", "gelu"])
def test_activations_of_torch_are_data(folder, activation):
    change(folder / "2_Dense" / "config.json", activation_function=activation)
    require_data_only(folder)


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "weights.pkl", "tf_model.h5", "model.CKPT", "model.joblib", "vectors.npy"]
)
@pytest.mark.parametrize("module", ["", "3_Dense"])
def test_weights_that_are_no_safetensors_are_refused_with_the_way_to_convert_them(folder, marker, name, module):
    if module:
        add_module(folder, type="sentence_transformers.models.Dense", path=module)
        change(folder / module / "config.json", in_features=32, out_features=16)
    else:
        (folder / "model.safetensors").unlink()
    planted = folder / module / name
    planted.write_bytes(pickle.dumps(Bomb(marker)))
    refused(folder, rf"{name} are weights that can run code when they are opened.*save_pretrained\(new_folder\)")
    assert not marker.exists()
    pickle.loads(planted.read_bytes())
    assert marker.exists(), "the planted pickle is not alive, so the test proves nothing"


def test_weights_of_another_name_do_not_cover_a_pickle(folder, marker):
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(marker)))
    refused(folder, r"pytorch_model\.bin are weights")


def test_a_pickle_beside_safetensors_is_never_opened(folder, marker):
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(marker)))
    files = load_model_files(str(folder))
    assert files.folder == folder
    assert not marker.exists()


@pytest.mark.parametrize("shard", ["../secret.safetensors", "/etc/passwd", "weights.bin", 7])
def test_an_index_of_weights_may_name_only_safetensors_beside_it(folder, shard):
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    change(folder / "model.safetensors.index.json", weight_map={"a": shard})
    refused(folder, r"index\.json names .* under 'weight_map': only safetensors files beside it")


def test_an_adapter_is_refused_because_it_names_another_model(folder):
    change(folder / "adapter_config.json", base_model_name_or_path="stranger/model")
    refused(folder, r"adapter_config\.json names another model")


def test_links_may_not_leave_the_models_folder(folder, tmp_path):
    (tmp_path / "elsewhere.json").write_text('{"secret": 1}')
    (folder / "more.json").symlink_to(tmp_path / "elsewhere.json")
    refused(folder, r"more\.json is a link that leaves the model's folder")
    (folder / "more.json").unlink()
    (folder / "more.json").symlink_to(folder / "config.json")
    require_data_only(folder)
    (folder / "more").symlink_to(folder / "1_Pooling")
    refused(folder, r"more is a link to something that is no file")


def test_links_of_a_hub_cache_lead_to_its_blobs(folder, tmp_path):
    snapshot = tmp_path / "hub" / "models--org--name" / "snapshots" / ("a" * 40)
    blobs = snapshot.parents[1] / "blobs"
    blobs.mkdir(parents=True)
    snapshot.parent.mkdir()
    folder.rename(snapshot)
    for path in [path for path in snapshot.rglob("*") if path.is_file()]:
        blob = blobs / path.relative_to(snapshot).as_posix().replace("/", "-")
        path.rename(blob)
        path.symlink_to(os.path.relpath(blob, path.parent))
    assert load_model_files(str(snapshot)).dimension == 32
    (snapshot / "evil.json").symlink_to(tmp_path / "hub" / "other")
    refused(snapshot, "is a link that leaves the model's folder")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_pipe_in_the_place_of_a_file_ends_in_a_sentence_at_once(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refused(folder, rf"{name} is neither a file nor a folder")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 200_000, "nested too deep"),
        (b'{"a": "' + b"x" * (5 << 20) + b'"}', "larger than"),
        (b"\xff", "cannot be read"),
    ],
)
def test_hostile_configuration_ends_in_a_sentence(folder, content, message):
    (folder / "config.json").write_bytes(content)
    refused(folder, rf"config\.json cannot be read.*{message}|{message}")


def test_a_folder_without_end_is_no_model(folder, monkeypatch):
    monkeypatch.setattr("code_index.embedding.models.data_only._MAX_ENTRIES", 8)
    refused(folder, "more files than any model")


@pytest.mark.parametrize("name", ["planted-model", "sentence-transformers/planted-model", "all-MiniLM-L6-v2"])
def test_a_name_is_never_a_folder_of_the_working_directory(folder, tmp_path, monkeypatch, name):
    place = tmp_path / "repository" / name
    place.parent.mkdir(parents=True)
    folder.rename(place)
    monkeypatch.chdir(tmp_path / "repository")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    if name == "all-MiniLM-L6-v2":
        assert tmp_path not in find_model(name, allow_download=False).parents
        return
    with pytest.raises(ModelError, match="not in the local hub cache"):
        load_embedder(EmbedderConfig(model=name))


@pytest.mark.parametrize("name", ["./model", "../model", "a/b/model", ".hidden"])
def test_a_relative_path_is_refused_whatever_lies_there(folder, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="relative path: name its folder by the absolute path"):
        load_model_files(name)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda folder: onnx_cache.exported_graph(load_model_files(str(folder)), "float32"),
        lambda folder: static_table.distilled_folder(folder, "0" * 64),
    ],
    ids=["graph", "static table"],
)
def test_the_exporter_takes_nothing_from_the_working_directory(folder, tmp_path, monkeypatch, marker, prepare):
    """Neither by its own imports nor through the paths that it inherits."""
    repository = tmp_path / "repository"
    repository.mkdir()
    for module in ("torch", "json", "numpy", "sitecustomize", "usercustomize"):
        (repository / f"{module}.py").write_text(code(marker))
    monkeypatch.chdir(repository)
    monkeypatch.setattr(sys, "path", ["", str(repository), *sys.path])
    # The weights are no weights: the exporter imports all that it needs, and then refuses them.
    started = []
    run = prepared_files.subprocess.run

    def probing(command, **options):
        started.append(options)
        module = command.index("-m")
        return run([*command[:module], "-c", "import json, numpy, sys; sys.exit(repr(sys.path))"], **options)

    monkeypatch.setattr(prepared_files.subprocess, "run", probing)
    with pytest.raises(ModelError, match="The exporter ended with status 1") as refusal:
        prepare(folder)
    assert not marker.exists()
    assert f"'{repository}'" not in str(refusal.value)
    assert started[0]["cwd"] != repository
    run_module(repository / "json.py")
    assert marker.exists()
