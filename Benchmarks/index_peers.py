"""The peers of index.py behind one small interface: build(), then search(ef, threads) over all queries, one at a time."""

import time

import numpy

K = 10


class Hnswlib:
    def __init__(self, vectors, metric, threads, degree):
        import hnswlib

        self.name = f"hnswlib M{degree}"
        space = {"cosine": "cosine", "dot": "ip"}.get(metric, "l2")
        self.index = hnswlib.Index(space=space, dim=vectors.shape[1])
        start = time.perf_counter()
        self.index.init_index(max_elements=len(vectors), ef_construction=200, M=degree, random_seed=1)
        self.index.add_items(vectors, num_threads=threads)
        self.build = time.perf_counter() - start
        # Per node: the row, the bottom layer's list of up to 2·M neighbours, and its label and offsets.
        self.bytes = vectors.shape[1] * 4 + 2 * degree * 4 + 16

    def search(self, queries, ef, threads):
        self.index.set_ef(ef)
        return self.index.knn_query(queries, k=K, num_threads=threads)[0]


class FaissHNSW:
    def __init__(self, vectors, metric, threads, degree):
        import faiss

        faiss.omp_set_num_threads(threads)
        self.faiss, self.name = faiss, f"faiss HNSW M{degree}"
        kind = faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
        self.index = faiss.IndexHNSWFlat(vectors.shape[1], degree, kind)
        self.index.hnsw.efConstruction = 200
        start = time.perf_counter()
        self.index.add(vectors)
        self.build = time.perf_counter() - start
        self.bytes = vectors.shape[1] * 4 + 2 * degree * 4 + 16

    def search(self, queries, ef, threads):
        self.faiss.omp_set_num_threads(threads)
        self.index.hnsw.efSearch = ef
        return self.index.search(queries, K)[1]


class FaissFlat:
    name = "faiss IndexFlat"

    def __init__(self, vectors, metric):
        import faiss

        self.faiss = faiss
        self.index = faiss.IndexFlatIP(vectors.shape[1]) if metric == "cosine" else faiss.IndexFlatL2(vectors.shape[1])
        self.index.add(vectors)

    def search(self, queries, threads):
        self.faiss.omp_set_num_threads(threads)
        return self.index.search(queries, K)[1]

    def one_at_a_time(self, queries, threads):
        self.faiss.omp_set_num_threads(threads)
        return numpy.concatenate([self.index.search(query[None], K)[1] for query in queries])


class Usearch:
    name = "usearch M16"

    def __init__(self, vectors, metric, threads):
        from usearch.index import Index

        self.index = Index(
            ndim=vectors.shape[1], metric={"cosine": "cos", "dot": "ip"}.get(metric, "l2sq"), dtype="f32", connectivity=16,
            expansion_add=200,
        )
        start = time.perf_counter()
        self.index.add(numpy.arange(len(vectors)), vectors, threads=threads)
        self.build = time.perf_counter() - start
        self.bytes = self.index.memory_usage / len(vectors)

    def search(self, queries, ef, threads):
        self.index.expansion_search = ef
        return self.index.search(queries, K, threads=threads).keys


class Vamana:
    name = "SVS Vamana R32"

    def __init__(self, vectors, metric, threads):
        import svs

        kind = svs.DistanceType.L2 if metric == "euclidean" else svs.DistanceType.MIP
        parameters = svs.VamanaBuildParameters(
            graph_max_degree=32, window_size=128, alpha=1.2 if metric == "euclidean" else 0.95)
        start = time.perf_counter()
        self.index = svs.Vamana.build(parameters, vectors, kind, num_threads=threads)
        self.build = time.perf_counter() - start
        self.bytes = vectors.shape[1] * 4 + 33 * 4

    def search(self, queries, ef, threads):
        self.index.search_window_size = ef
        self.index.num_threads = threads
        return self.index.search(queries, K)[0]
