// How fast these cores multiply: the rate of one matrix product by oneDNN in f32, bf16 and int8, without anything around it.
//
//     onednn-limit ROWS INNER COLUMNS THREADS SECONDS
//
// Prints a line for each precision: its name, then GFLOP/s of all threads together, or "unsupported" where oneDNN has only
// its reference code. Each thread makes products of its own, as an encoder with a batch for each thread does. Weights are in
// the layout that oneDNN prefers. In bf16 and int8 the rate is that of the fastest type of result.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <unordered_map>
#include <vector>

#include <omp.h>
#include <oneapi/dnnl/dnnl.hpp>

#include "limit_rate.hpp"

using dnnl::memory;
using Type = memory::data_type;

struct Shape {
    memory::dim rows, inner, columns;
    double flop() const { return 2.0 * double(rows) * double(inner) * double(columns); }
};

/// Small values that are exact in every type, so that no product meets a denormal or an overflow.
static void fill(memory &target) {
    const size_t bytes = target.get_desc().get_size();
    auto *data = static_cast<unsigned char *>(target.get_data_handle());
    switch (target.get_desc().data_type()) {
    case Type::f32:
        for (size_t i = 0; i < bytes / 4; ++i) {
            const float value = float(int(i % 7) - 3) / 4;
            std::memcpy(data + 4 * i, &value, 4);
        }
        break;
    case Type::bf16:
        for (size_t i = 0; i < bytes / 2; ++i) {
            const float value = float(int(i % 7) - 3) / 4;
            // The upper half of the little-endian f32.
            std::memcpy(data + 2 * i, reinterpret_cast<const unsigned char *>(&value) + 2, 2);
        }
        break;
    default:
        for (size_t i = 0; i < bytes; ++i) data[i] = static_cast<unsigned char>(i % 7);
    }
}

/// One thread's product, with memory of its own.
class Product {
  public:
    Product(const Shape &shape, Type left, Type right, Type result) : engine(dnnl::engine::kind::cpu, 0), stream(engine) {
        const memory::desc a({shape.rows, shape.inner}, left, memory::format_tag::ab);
        const memory::desc b({shape.inner, shape.columns}, right, memory::format_tag::any);
        const memory::desc c({shape.rows, shape.columns}, result, memory::format_tag::ab);
        const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), engine);
        reference = std::string(description.impl_info_str()).find("ref") != std::string::npos;

        memory source(a, engine), plain({{shape.inner, shape.columns}, right, memory::format_tag::ab}, engine);
        memory weights(description.weights_desc(), engine), target(c, engine);
        fill(source);
        fill(plain);
        dnnl::reorder(plain, weights).execute(stream, plain, weights);
        stream.wait();
        primitive = dnnl::matmul(description);
        arguments = {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, target}};
    }

    void run() {
        primitive.execute(stream, arguments);
        stream.wait();
    }

    bool reference;

  private:
    dnnl::engine engine;
    dnnl::stream stream;
    dnnl::matmul primitive;
    std::unordered_map<int, memory> arguments;
};

/// GFLOP/s of all threads, or 0 when oneDNN has no fast code for these types.
static double rate(const Shape &shape, Type left, Type right, Type result, int threads, double seconds) {
    try {
        if (Product(shape, left, right, result).reference) return 0;
    } catch (const dnnl::error &) {
        return 0;
    }
    return rate_of(shape.flop(), threads, seconds, [&] { return Product(shape, left, right, result); });
}

int main(int count, char **words) {
    if (count != 6) {
        std::cerr << "usage: onednn-limit ROWS INNER COLUMNS THREADS SECONDS\n";
        return 2;
    }
    const Shape shape{std::atol(words[1]), std::atol(words[2]), std::atol(words[3])};
    const int threads = std::atoi(words[4]);
    const double seconds = std::atof(words[5]);
    omp_set_num_threads(1);

    struct Precision {
        const char *name;
        Type left, right;
        std::vector<Type> results;
    };
    const std::vector<Precision> precisions = {
        {"f32", Type::f32, Type::f32, {Type::f32}},
        {"bf16", Type::bf16, Type::bf16, {Type::bf16, Type::f32}},
        {"int8", Type::u8, Type::s8, {Type::u8, Type::s32, Type::f32}},
    };
    for (const auto &precision : precisions) {
        double best = 0;
        for (Type result : precision.results)
            best = std::max(best, rate(shape, precision.left, precision.right, result, threads, seconds));
        if (best > 0)
            std::cout << precision.name << ' ' << best << std::endl;
        else
            std::cout << precision.name << " unsupported" << std::endl;
    }
}
