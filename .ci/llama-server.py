#!/usr/bin/env python3
"""llama.cpp's HTTP server out of the Python package `xllamacpp`, with the flags of `llama-server` that are used here.

The package chooses among the processor's instructions when it starts; builds of the program itself that are published
as packages need the processor of the machine that built them.
"""

import argparse
import signal

import xllamacpp


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--host", default="127.0.0.1")
    flags.add_argument("--port", type=int, required=True)
    flags.add_argument("--model", required=True)
    flags.add_argument("--alias", required=True)
    flags.add_argument("--threads", type=int, default=1)
    flags.add_argument("--parallel", type=int, default=1)
    flags.add_argument("--ctx-size", type=int, default=4096)
    flags.add_argument("--cache-ram", type=int, default=8192)
    flags.add_argument("--cache-prompt", action=argparse.BooleanOptionalAction, default=True)
    flags.add_argument("--metrics", action="store_true")
    given = flags.parse_args()

    # Before the server has threads, which inherit it: the signal is waited for below.
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)

    params = xllamacpp.CommonParams()
    params.model.path = given.model
    params.port = given.port
    params.hostnames = [given.host] if isinstance(params.hostnames, (list, tuple)) else given.host
    params.model_alias = {given.alias} if isinstance(params.model_alias, (set, frozenset)) else given.alias
    params.cpuparams.n_threads = given.threads
    params.n_parallel = given.parallel
    params.n_ctx = given.ctx_size
    params.n_gpu_layers = 0
    params.cache_ram_mib = given.cache_ram
    params.cache_prompt = given.cache_prompt
    params.endpoint_metrics = given.metrics
    server = xllamacpp.Server(params)
    print(f"llama.cpp is listening at {server.listening_address}", flush=True)
    signal.sigwait(ends)


if __name__ == "__main__":
    main()
