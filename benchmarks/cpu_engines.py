"""The default model on a CPU, by engines that were not chosen, beside the one that was: texts a core-second, and the arithmetic.

    python -m benchmarks.cpu_engines [--texts 400] [--rounds 3]

Installs OpenVINO and NNCF into an environment of their own. All engines get the same tokens in the same batches, on one
thread, in turn; what counts is processor time. A multiply-add of the model's matrices is counted once; *sum* is what they
make a second. A processor with AVX-512 VNNI makes 64 of int8 an instruction, one with AMX 1,024 a cycle.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

_PACKAGES: Final = ("openvino==2026.4.1", "nncf", "onnx", "onnxruntime==1.32.0")
_SEED: Final = 0
_LAYERS, _WIDTH, _INNER = 6, 384, 1_536
_CALIBRATION: Final = 40  # batches
_GAIN: Final = 1.3


def multiply_adds(length: int) -> int:
    """Multiply-adds of the model for a text of so many tokens: four square matrices and two wide ones a layer, and attention."""
    return _LAYERS * length * (4 * _WIDTH**2 + 2 * _WIDTH * _INNER + 2 * length * _WIDTH)


def measure(place: Path) -> None:
    """Time each engine, in the environment that has them, and write the figures beside the work."""
    import nncf
    import numpy as np
    import onnxruntime
    import openvino

    work = json.loads((place / "work.json").read_text("utf-8"))
    tokens, batches = work["tokens"], work["batches"]
    feeds = []
    for batch in batches:
        ids = np.zeros((len(batch), max(len(tokens[at]) for at in batch)), np.int64)
        mask = np.zeros_like(ids)
        for row, at in enumerate(batch):
            ids[row, : len(tokens[at])], mask[row, : len(tokens[at])] = tokens[at], 1
        feeds.append({"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)})
    core = openvino.Core()

    def runtime(graph: str) -> Callable[[Mapping[str, Any]], Any]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(graph, options, disabled_optimizers=work["disabled"])
        names = [node.name for node in session.get_inputs()]
        return lambda feed: session.run(None, {name: feed[name] for name in names})[0]

    def vino(model: Any, precision: str) -> Callable[[Mapping[str, Any]], Any]:
        compiled = core.compile_model(
            model, "CPU", {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision}
        )
        request, names = compiled.create_infer_request(), {node.get_any_name() for node in compiled.inputs}
        return lambda feed: request.infer({name: feed[name] for name in names})[compiled.outputs[0]].copy()

    plain = core.read_model(work["float32"])
    names = [node.get_any_name() for node in plain.inputs]
    calibration = nncf.Dataset(feeds[:: max(1, len(feeds) // _CALIBRATION)], lambda feed: {n: feed[n] for n in names})
    static = nncf.quantize(plain, calibration, model_type=nncf.ModelType.TRANSFORMER, subset_size=_CALIBRATION)
    engines = {
        "ONNX Runtime, float32": runtime(work["float32"]),
        "ONNX Runtime, int8 (the default)": runtime(work["int8"]),
        "OpenVINO, float32": vino(core.read_model(work["float32"]), "f32"),
        "OpenVINO, bfloat16": vino(core.read_model(work["float32"]), "bf16"),
        "OpenVINO, the default's int8 graph": vino(core.read_model(work["int8"]), "f32"),
        "OpenVINO, int8 with scales fixed beforehand (NNCF)": vino(static, "f32"),
    }
    vectors, seconds = {}, {name: [] for name in engines}
    for _ in range(work["rounds"]):
        for name, run in engines.items():
            started = time.process_time()
            found = [run(feed) for feed in feeds]
            seconds[name].append(time.process_time() - started)
            rows = np.concatenate(found).astype(np.float32)
            vectors[name] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    exact = vectors["ONNX Runtime, float32"]
    figures = {
        name: {"seconds": seconds[name], "least_cosine": float((rows * exact).sum(1).min())}
        for name, rows in vectors.items()
    }
    versions = {one.__name__: one.__version__ for one in (openvino, nncf, onnxruntime)}
    (place / "figures.json").write_text(json.dumps({"engines": figures, "versions": versions}), "utf-8")


def main() -> None:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure)
        return
    from benchmarks import report
    from benchmarks.embedding_backends import standard_library_functions
    from code_index.embedding.backends.onnx import OnnxBackend
    from code_index.embedding.backends.registry import BACKENDS
    from code_index.embedding.configuration import EmbedderConfig
    from code_index.embedding.models.model_files import configured_model_files
    from code_index.embedding.models.onnx_cache import exported_graph
    from code_index.embedding.onnx_session import HARMFUL_OPTIMIZERS
    from code_index.embedding.token_batches import plan_batches

    machine_before, config = report.machine(), EmbedderConfig()
    files = configured_model_files(config)
    backend = OnnxBackend(files, window=files.window(config.max_tokens), precision="int8", threads=1)
    tokens = [list(item.ids) for item in backend.tokenize(standard_library_functions(arguments.texts)[0], "")]
    lengths = [len(text) for text in tokens]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        venv.create(place / "environment", with_pip=True)
        python = place / "environment/bin/python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", *_PACKAGES], check=True)
        work = {
            "tokens": tokens,
            "batches": plan_batches(lengths, token_budget=BACKENDS["onnx"].token_budgets["cpu"]),
            "disabled": list(HARMFUL_OPTIMIZERS),
            "rounds": arguments.rounds,
            **{precision: str(exported_graph(files, precision).path) for precision in ("float32", "int8")},
        }
        (place / "work.json").write_text(json.dumps(work), "utf-8")
        subprocess.run([python, Path(__file__), "--measure", place], check=True, stdout=subprocess.DEVNULL)
        figures = json.loads((place / "figures.json").read_text("utf-8"))
    figures |= {"texts": len(tokens), "tokens": sum(lengths), "multiply_adds": sum(map(multiply_adds, lengths))}
    default = min(figures["engines"]["ONNX Runtime, int8 (the default)"]["seconds"])
    rows = [
        (
            engine,
            f"{len(tokens) / (best := min(found['seconds'])):.1f}",
            f"{default / best:.2f}",
            f"{figures['multiply_adds'] / best / 1e9:.0f}",
            f"{found['least_cosine']:.4f}",
        )
        for engine, found in figures["engines"].items()
    ]
    header = ("engine", "texts a core-second", f"times the default (goal {_GAIN})", "sum, 10⁹ a second", "least cosine")
    report.write(
        "cpu_engines",
        seed=_SEED,
        machine_before=machine_before,
        figures=figures,
        markdown=report.table(header, rows),
    )


if __name__ == "__main__":
    main()
