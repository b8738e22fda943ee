"""The real model: exported, quantized and cached, against sentence-transformers in float32."""

from __future__ import annotations

import ast
import json
import os
import random
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from code_index.core.cache import cache_folder
from code_index.core.errors import ModelError, SettingsError
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.loader import load_embedder
from code_index.embedding.models.lookup import find_model
from tests.waiting import PATIENCE_S, started

pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    # torch and transformers warn about their own parts and about each other's.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

MODEL = "all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One cache for the module: the model is exported once a precision."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODE_INDEX_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def int8(cache):
    return load_embedder(EmbedderConfig(model=MODEL, backend="onnx", precision="int8"))


@pytest.fixture(scope="module")
def functions():
    """80 functions of the standard library with their names' words, the same ones each time."""
    root = Path(sysconfig.get_path("stdlib"))
    found = []
    for path in sorted(root.glob("*.py")) + sorted(root.glob("json/*.py")) + sorted(root.glob("http/*.py")):
        source = path.read_text(encoding="utf-8", errors="replace")
        lines = source.splitlines()
        found += [
            (f"{path.name}\n{node.name}\n" + "\n".join(lines[node.lineno - 1 : node.end_lineno]), node.name)
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno > 3
        ]
    chosen = random.Random(7).sample(found, 80)
    return [text for text, _ in chosen], [name.replace("_", " ").strip() for _, name in chosen]


@pytest.fixture(scope="module")
def reference(functions):
    """What sentence-transformers computes for the functions: float32, 128 tokens."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(find_model(MODEL, allow_download=False)), device="cpu")
    model.max_seq_length = 128
    return model.encode(functions[0], normalize_embeddings=True, show_progress_bar=False)


def cosines(left, right):
    return (left * right).sum(axis=1)


def run_python(code, cache_folder, **variables):
    environment = os.environ | {"CODE_INDEX_CACHE_DIR": str(cache_folder)} | variables
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return started(sys.executable, "-c", code, env=environment, **pipes)


LOAD = (
    "import sys\n"
    "from code_index.embedding.configuration import EmbedderConfig\n"
    "from code_index.embedding.loader import load_embedder\n"
    "embedder = load_embedder(EmbedderConfig(device='cpu', precision='int8', backend='onnx'))\n"
    "vector = embedder.embed_query('parse a date')\n"
    "heavy = {'torch', 'transformers', 'sentence_transformers', 'onnx', 'dagster', 'lancedb'}\n"
    "print(embedder.model_id, vector.shape, sorted(heavy & set(sys.modules)))\n"
)


def test_int8_keeps_the_vectors_of_real_code(int8, functions, reference):
    texts, _ = functions
    agreement = cosines(int8.embed_documents(texts, [""] * len(texts)), reference)
    assert agreement.mean() >= 0.99
    assert agreement.min() >= 0.98


def test_float32_graph_computes_what_the_model_computes(cache, functions, reference):
    texts, _ = functions
    exact = load_embedder(EmbedderConfig(model=MODEL, backend="onnx", precision="float32"))
    agreement = cosines(exact.embed_documents(texts, [""] * len(texts)), reference)
    assert agreement.min() >= 0.9999


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_torch_backend_agrees_with_the_library_it_uses(cache, functions, reference, precision):
    texts, _ = functions
    torch_embedder = load_embedder(EmbedderConfig(model=MODEL, device="cpu", backend="torch", precision=precision))
    vectors = torch_embedder.embed_documents(texts[:60], [""] * 60)
    assert cosines(vectors, reference[:60]).min() >= 0.999
    assert f"torch {precision}" in torch_embedder.describe()


def test_vectors_have_unit_norm_and_names_move_them_a_little(int8, functions):
    texts, names = functions
    plain = int8.embed_documents(texts, [""] * len(texts))
    named = int8.embed_documents(texts, names)
    np.testing.assert_allclose(np.linalg.norm(named, axis=1), 1, atol=1e-5)
    assert named.dtype == np.float32
    assert 0.9 < cosines(plain, named).mean() < 0.999


def test_a_query_finds_the_function_that_it_describes(int8):
    documents = {
        "parse": "def load(path):\n    with open(path) as stream:\n        return json.load(stream)",
        "retry": "def call(action, attempts):\n    for _ in range(attempts):\n        try:\n            return action()\n"
        "        except OSError:\n            sleep(1)",
        "email": "def notify(user, subject):\n    smtp.sendmail(SENDER, user.address, render(subject))",
        "prime": "def is_prime(n):\n    return n > 1 and all(n % d for d in range(2, int(n ** 0.5) + 1))",
    }
    vectors = int8.embed_documents(list(documents.values()), [""] * len(documents))
    queries = {
        "read a JSON file": "parse",
        "try again after an error": "retry",
        "send a mail": "email",
        "check for a prime number": "prime",
    }
    for query, expected in queries.items():
        assert list(documents)[int(np.argmax(vectors @ int8.embed_query(query)))] == expected, query


def test_what_is_beyond_the_window_does_not_count(int8):
    text = "alpha beta gamma delta " * 100
    short, long = int8.embed_documents([text], [""]), int8.embed_documents([text + "omega " * 500_000], [""])
    assert cosines(short, long)[0] > 0.9999


def test_a_wider_window_sees_more_and_is_another_model(cache, int8):
    wide = load_embedder(EmbedderConfig(model=MODEL, backend="onnx", precision="int8", max_tokens=256))
    assert wide.model_id != int8.model_id
    assert "tokens=256" in wide.model_id
    text = "alpha " * 150 + "rocket engine telemetry " * 20
    assert cosines(wide.embed_documents([text], [""]), int8.embed_documents([text], [""]))[0] < 0.99


def test_a_window_beyond_the_models_positions_is_refused(cache):
    with pytest.raises(SettingsError, match="reads at most 512 tokens"):
        load_embedder(EmbedderConfig(model=MODEL, max_tokens=513))


def test_a_text_that_is_no_unicode_fails_alone(int8):
    result = int8.embed_documents_detailed(["def f(): pass", "bad \ud800", ""], ["", "", ""])
    assert list(result.errors) == [1]
    assert "cannot be tokenized" in result.errors[1]
    np.testing.assert_allclose(np.linalg.norm(result.vectors[[0, 2]], axis=1), 1, atol=1e-5)


def test_a_second_process_loads_without_torch(cache, int8):
    with run_python(LOAD, cache) as process:
        output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert output.strip() == f"{int8.model_id} (384,) []"


@pytest.mark.long
def test_two_processes_may_export_at_once(tmp_path):
    with run_python(LOAD, tmp_path) as one, run_python(LOAD, tmp_path) as two:
        processes = (one, two)
        outcomes = [process.communicate(timeout=PATIENCE_S) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outcomes
    assert outcomes[0][0] == outcomes[1][0]
    (exported,) = tmp_path.glob("user-*/onnx")
    assert len(list(exported.iterdir())) == 1


def test_the_int8_graph_proves_its_agreement(cache, int8):
    (report,) = (json.loads(path.read_text()) for path in (cache_folder() / "onnx").glob("*-int8-*/export.json"))
    assert report["precision"] == "int8"
    assert report["int8_cosine_mean"] >= 0.985


def test_damaged_weights_are_named(cache, tmp_path):
    source = find_model(MODEL, allow_download=False)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"weights .*model\.safetensors cannot be loaded: .*header"):
        load_embedder(EmbedderConfig(model=str(tmp_path), backend="onnx", precision="int8"))
