#!/usr/bin/env bash
# Runs every comparison with a peer, one after another: Benchmarks/run.sh NEARFAR
# Exits with 1 when one of them misses its ratio. Run nothing else meanwhile.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
binary=${1:-.build/release/nearfar}
status=0

echo "==> bench: the HTTP server compared with nginx"
Benchmarks/http_server.py --server "$binary serve" || status=1
echo "==> bench: what the access log costs"
Benchmarks/access_log.py --binary "$binary" || status=1
echo "==> bench: what gzip costs and saves"
Benchmarks/compression.py --binary "$binary" || status=1
echo "==> bench: POST /embed compared with ONNX Runtime, OpenVINO and CTranslate2"
Benchmarks/embed.py --binary "$binary" || status=1
echo "==> bench: a model of each family compared with ONNX Runtime and OpenVINO"
Benchmarks/families.py --binary "$binary" || status=1
echo "==> bench: start and memory of the encoder in each precision"
Benchmarks/embed_memory.py --binary "$binary" || status=1
echo "==> bench: tokens and the bytes of vectors, made on one core"
"$(dirname "$binary")/text-bench" models/all-MiniLM-L6-v2 || status=1
echo "==> bench: losses compared with PyTorch"
Benchmarks/loss.py --binary "$binary" --loss-bench "$(dirname "$binary")/loss-bench" || status=1
echo "==> bench: training compared with sentence-transformers"
Benchmarks/train.py --binary "$binary" || status=1
echo "==> bench: a table of vectors and its teacher"
Benchmarks/train.py --binary "$binary" --only static || status=1
echo "==> bench: methods of self-supervised learning, trained with losses over HTTP and with lightly's"
Benchmarks/methods.py --binary "$binary" || status=1
echo "==> bench: the index compared with hnswlib, faiss, usearch and SVS"
Benchmarks/index.py --binary "$binary" --index-bench "$(dirname "$binary")/index-bench" || status=1
echo "==> bench: the index on nineteen different sets"
Benchmarks/sets.py --binary "$binary" --index-bench "$(dirname "$binary")/index-bench" || status=1
echo "==> bench: the recall of searches with the default settings"
Benchmarks/sets.py --recall --binary "$binary" --index-bench "$(dirname "$binary")/index-bench" || status=1
echo "==> bench: searches under filters"
Benchmarks/sets.py --filters --binary "$binary" --index-bench "$(dirname "$binary")/index-bench" || status=1
echo "==> bench: searches over HTTP"
Benchmarks/index_service.py --binary "$binary" --index-bench "$(dirname "$binary")/index-bench" || status=1
echo "==> bench: searches in a database with pgvector, beside psycopg"
Benchmarks/pgvector.py --binary "$binary" || status=1
echo "==> bench: the recall of a graph after many removals and insertions"
Benchmarks/index_churn.py --binary "$binary" --index-bench "$(dirname "$binary")/index-bench" || status=1
echo "==> bench: replicas on one PostgreSQL"
Benchmarks/replicas.py --binary "$binary" || status=1
echo "==> bench: a million points in the service: memory, filters"
Benchmarks/index_memory.py --binary "$binary" || status=1
exit "$status"
