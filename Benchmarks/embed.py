#!/usr/bin/env python3
"""Compares Nearfar's POST /embed with ONNX Runtime, OpenVINO and CTranslate2 in f32, bf16 and int8, in one run.

    Benchmarks/embed.py [--binary .build/release/nearfar] [--only throughput|lone|load] [--precisions f32,bf16,int8]

throughput  4,096 WordNet glosses and 512 paragraphs of 4 to 14 glosses each. The peers run in this process: 2 threads,
            texts sorted by length, tokenization included, in batches of the size that is fastest for each. Nearfar
            runs as `nearfar serve` and is called over HTTP, with JSON in and JSON, base64 or safetensors out: 64 texts
            a request, 8 kept connections, in the order of the sample. All take turns (A B A B …) so that a change of
            the machine's pace affects all, and medians are compared. The limit is the rate of a product by oneDNN on
            the same threads. Vectors are compared with those of ONNX Runtime in f32: by cosine, and by the nearest
            neighbours of glosses.
lone        one request at a time, of 16 tokens and of as many as the model takes, beside ONNX Runtime in process.
load        requests of one gloss each that come in at 30, 60 and 90 % of the pace that the server bears.

A precision that the program does not take or that this processor cannot run is reported. Exits with 1 when a ratio
that is asked for is missed.
"""

import argparse
import os
import sys
from pathlib import Path

import own_venv

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PARTS = ("throughput", "lone", "load")
PRECISIONS = ("f32", "bf16", "int8")


def precisions(words: str) -> list[str]:
    chosen = words.split(",")
    if not set(chosen) <= set(PRECISIONS) or len(set(chosen)) < len(chosen):
        raise argparse.ArgumentTypeError(f"must be some of {','.join(PRECISIONS)}, with commas between them")
    return chosen


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / ".build" / "release" / "nearfar")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "all-MiniLM-L6-v2")
    parser.add_argument("--only", action="append", choices=PARTS, help="run this part; may be repeated")
    parser.add_argument("--precisions", type=precisions, default=list(PRECISIONS), help="of Nearfar and its peers")
    parser.add_argument("--texts", type=int, default=4096, help="glosses")
    parser.add_argument("--paragraphs", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="compute threads of each side")
    parser.add_argument("--connections", type=int, default=8, help="to each server, in the throughput part")
    parser.add_argument("--per-request", type=int, default=64, help="texts of a request, in the throughput part")
    parser.add_argument("--lone-requests", type=int, default=300, help="of each length to each side")
    parser.add_argument("--load-seconds", type=float, default=10, help="of each pace")
    parser.add_argument(
        "--judged", choices=("json", "base64", "safetensors"), default="json", help="answers whose rate is asked for"
    )
    options = parser.parse_args()
    options.only = options.only or list(PARTS)
    return options


def main() -> int:
    options = arguments()
    own_venv.enter("bench-venv", "requirements.txt")
    # Set before any thread pool starts. The tokenizer gets the threads of each side. numpy only adds and normalises, and
    # its threads would spin beside those of the peers.
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    import embed_load
    import embed_lone
    import embed_sides
    import glosses
    import processor
    from bert_folder import BertFolder
    from embed_asks import Asks
    from embed_throughput import Throughput
    from onednn_limit import Limit
    from onnx_peer import OnnxPeer

    bf16 = "has" if processor.HAS_BF16 else "has no"
    print(f"{processor.name()} {bf16} bf16 products; {options.threads} threads for each side", flush=True)
    folder = BertFolder(options.model)
    with embed_sides.servers(options) as (servers, refused):
        asks = Asks(options.judged, options.precisions, refused)
        if "throughput" in options.only:
            peers, missing = embed_sides.peers(folder, options)
            missing |= {f"Nearfar {precision}": f"refused: {message}" for precision, message in refused.items()}
            sides = embed_sides.in_turns(peers, servers, options)
            throughput = Throughput(sides, folder, Limit(folder, options.threads), missing)
            sets = {"glosses": glosses.sample(options.texts), "paragraphs": glosses.paragraphs(options.paragraphs)}
            results = [throughput.measure(name, texts, options.rounds) for name, texts in sets.items()]
            asks.throughput(results)
        if "lone" in options.only:
            peer = OnnxPeer("f32", folder, options.threads)
            asks.lone(embed_lone.measure(peer, servers, folder, options.lone_requests))
        if "load" in options.only:
            embed_load.measure(servers, options.load_seconds)
    return 0 if asks.report() else 1


if __name__ == "__main__":
    sys.exit(main())
