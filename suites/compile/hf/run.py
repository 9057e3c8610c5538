# SPDX-License-Identifier: Apache-2.0
"""A Hugging Face Llama with peft's LoRA over NF4 weights, its modules calling torch.ops.assay, compiled whole with dynamic
shapes and trained over batches whose lengths never repeat.

    python run.py --library LIB/libassay_ops.so [--out FILE.json] [--shape llama-3.2-1b --dtype bfloat16 --device cuda]

Writes what torch.compile did and how far loss and adapters are from the same training in f64, beside the uncompiled model
and transformers' own. Exit status: 0, 1 with the faults printed, 77 where a package is missing.
"""

import argparse
import importlib.util
import json
import math
import os
import sys
from importlib import metadata

PACKAGES = ("torch", "transformers", "peft")


def options_from(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True)
    parser.add_argument("--out", help="JSON file; without it the report is printed")
    parser.add_argument("--shape", default="tiny", help="tiny, small, llama-3.2-1b, llama-3.1-8b")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--backend", default="aot_eager", help="of torch.compile: aot_eager, inductor")
    parser.add_argument("--mixes", type=int, default=40, help="training steps, each of other lengths")
    parser.add_argument("--longest", type=int, default=48, help="tokens of a row")
    parser.add_argument("--timed", type=int, default=0, help="so many batches once more, timed")
    parser.add_argument("--rank", type=int, default=4, help="of the adapters")
    parser.add_argument("--mutant", help="a wrong version from mutants.py")
    return parser.parse_args(arguments)


def programs():
    """Attention programs compiled in this process so far."""
    import torch
    return torch.ops.assay.attention_counters()[0]


def without_infinities(value):
    """JSON has no word for what is not finite: null."""
    if isinstance(value, dict):
        return {name: without_infinities(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def compiled_training(spec, model, batches, backend):
    """Losses, or none where compiling failed; what was counted; the compiled call."""
    import training
    import watch
    breaks, reasons = watch.graph_breaks(model, **batches[0])
    watched = watch.Watched(model, backend)
    after_warm_up = {}

    def after_step(step):
        if step == WARM_UP - 1:
            after_warm_up.update(graphs=watched.graphs(), programs=programs())

    losses, failed = None, ""
    try:
        losses = training.train(model, watched.call, batches, spec.learning_rate(), after_step)
    except Exception as error:  # dynamo's, whichever it is: the report says which
        failed = f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"
    report = watched.report() | {"failed": failed, "warm_up": WARM_UP}
    report["graph_breaks"] += breaks
    report["graph_break_reasons"] += reasons
    report["recompilations_after_warm_up"] = watched.graphs() - after_warm_up.get("graphs", 0)
    report["programs"] = programs()
    report["programs_after_warm_up"] = programs() - after_warm_up.get("programs", 0)
    return losses, report, watched.call


WARM_UP = 2  # steps: one batch of rectangles, one packed


def comparisons(spec, classes, batches, compiled_losses, compiled_model, report):
    import batches as data
    import model as models
    import training
    plain_batches = [data.for_transformers(b) for b in batches]
    exact, plain, ours = models.exact_model(spec), models.plain_model(spec), models.our_model(spec, classes)
    rate = spec.learning_rate()
    truth = training.train(exact, exact, plain_batches, rate)
    losses = {"compiled": compiled_losses, "uncompiled": training.train(ours, ours, batches, rate),
              "plain": training.train(plain, plain, plain_batches, rate)}
    trained = {"compiled": compiled_model, "uncompiled": ours, "plain": plain}
    report |= {"mean_loss": truth.mean().item(), "first_loss": losses["compiled"][0].item(),
               "last_loss": losses["compiled"][-1].item(),
               "loss_rms_error": {n: training.loss_difference(v, truth) for n, v in losses.items()},
               "adapter_error": {n: training.adapter_difference(m, exact) for n, m in trained.items()},
               "compiled_against_uncompiled": training.loss_difference(losses["compiled"], losses["uncompiled"])}
    return plain, plain_batches


def run(options):
    import torch

    import batches as data
    import model as models
    import mutants
    import operators
    import training
    import verdict
    if options.device == "cpu":
        torch.set_num_threads(1)  # a second one only waits for the first on tensors this small
    torch.ops.load_library(options.library)
    classes = mutants.MUTANTS[options.mutant][1] if options.mutant else operators.CLASSES
    spec = models.ModelSpec(options.shape, getattr(torch, options.dtype), options.device, options.rank)
    mixes = data.distinct_mixes(options.mixes, options.longest)
    vocab = models.SHAPES[options.shape]["vocab_size"]
    batches = [data.batch_of(mix, vocab, options.device, seed) for seed, mix in enumerate(mixes)]
    report = {"shape": options.shape, "dtype": options.dtype, "device": options.device, "backend": options.backend,
              "length_mixes": len(set(mixes)), "tokens": sum(m.tokens() for m in mixes),
              "device_name": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
              "versions": {name: metadata.version(name) for name in PACKAGES}}
    model = models.our_model(spec, classes)
    losses, found, call = compiled_training(spec, model, batches, options.backend)
    report |= found
    if not report["failed"]:
        plain, plain_batches = comparisons(spec, classes, batches, losses, model, report)
        report |= {"loss_limit": verdict.loss_limit(report), "adapter_limit": verdict.adapter_limit(report)}
        if options.timed:
            part = slice(WARM_UP, WARM_UP + options.timed)
            report["speed"] = {"compiled": training.timed(model, call, batches[part], options.device),
                               "plain": training.timed(plain, plain, plain_batches[part], options.device)}
    report["faults"] = verdict.faults_of(report)
    return report


def main():
    options = options_from(sys.argv[1:])
    missing = [name for name in PACKAGES if not importlib.util.find_spec(name)]
    if missing:
        print(f"needs {' and '.join(missing)}: not installed")
        return 77
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    report = run(options)
    text = json.dumps(without_infinities(report), indent=1, allow_nan=False) + "\n"
    if options.out:
        with open(options.out, "w") as file:
            file.write(text)
    else:
        print(text)
    for fault in report["faults"]:
        print(fault, file=sys.stderr)
    return 1 if report["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
