"""Enarx: WebAssembly workloads in Keeps, on machines that their owner does not trust."""

VERSION = "0.1.0"
