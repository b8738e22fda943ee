"""Backends that run a model: ONNX Runtime on the CPU, torch on GPUs and for any other model."""
