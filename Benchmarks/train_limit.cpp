// How fast these cores multiply the matrices of training: the rates of products by oneDNN in f32, without anything around them.
//
//     train-limit THREADS SECONDS KIND:ROWSxINNERxCOLUMNS...
//
// KIND is the place of a product in a dense layer Y = X·Wᵀ, and what the three numbers mean:
//
//     forward   Y = X·Wᵀ      ROWS tokens, INNER inputs, COLUMNS outputs
//     inputs    dX = dY·W     ROWS tokens, INNER outputs, COLUMNS inputs
//     weights   dW += dYᵀ·X   ROWS outputs, INNER tokens, COLUMNS inputs
//
// Prints a line for each: as it was given, then GFLOP/s of all threads together. Each thread makes products of its own. The
// rate is that of the fastest of dnnl_sgemm and a matmul primitive, which gets its right side in the layout that it prefers
// where that side is a weight; packing it does not count.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <unordered_map>
#include <vector>

#include <omp.h>
#include <oneapi/dnnl/dnnl.hpp>

#include "limit_rate.hpp"

using dnnl::memory;
using Tag = memory::format_tag;

enum class Kind { forward, inputs, weights };

struct Shape {
    Kind kind;
    memory::dim rows, inner, columns;
    double flop() const { return 2.0 * double(rows) * double(inner) * double(columns); }
    bool is_valid() const { return rows > 0 && inner > 0 && columns > 0; }
};

/// Small values that are exact, so that no product meets a denormal or an overflow.
static void fill(float *values, size_t count) {
    for (size_t i = 0; i < count; ++i) values[i] = float(int(i % 7) - 3) / 4;
}

/// By dnnl_sgemm, on matrices as an encoder has them.
class Sgemm {
  public:
    explicit Sgemm(const Shape &shape)
        : shape(shape), left(size_t(shape.rows * shape.inner)), right(size_t(shape.inner * shape.columns)),
          result(size_t(shape.rows * shape.columns)) {
        fill(left.data(), left.size());
        fill(right.data(), right.size());
    }

    void run() {
        const bool turns_left = shape.kind == Kind::weights, turns_right = shape.kind == Kind::forward;
        const auto status = dnnl_sgemm(
            turns_left ? 'T' : 'N', turns_right ? 'T' : 'N', shape.rows, shape.columns, shape.inner, 1.f, left.data(),
            turns_left ? shape.rows : shape.inner, right.data(), turns_right ? shape.inner : shape.columns,
            shape.kind == Kind::weights ? 1.f : 0.f, result.data(), shape.columns);
        if (status != dnnl_success) throw dnnl::error(status, "dnnl_sgemm failed");
    }

  private:
    Shape shape;
    std::vector<float> left, right, result;
};

/// By a matmul primitive.
class Matmul {
  public:
    explicit Matmul(const Shape &shape) : engine(dnnl::engine::kind::cpu, 0), stream(engine) {
        const auto f32 = memory::data_type::f32;
        const bool is_gradient = shape.kind == Kind::weights;
        const memory::desc a({shape.rows, shape.inner}, f32, is_gradient ? Tag::ba : Tag::ab);
        // Rows of activations come anew each time, so only weights may be packed.
        const memory::desc b({shape.inner, shape.columns}, f32, is_gradient ? Tag::ab : Tag::any);
        const memory::desc c({shape.rows, shape.columns}, f32, Tag::ab);
        dnnl::primitive_attr attributes;
        if (is_gradient) {
            dnnl::post_ops operations;
            operations.append_sum(1.f);
            attributes.set_post_ops(operations);
        }
        const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), attributes, engine);
        memory source(a, engine), weights(description.weights_desc(), engine), target(c, engine);
        memory plain({{shape.inner, shape.columns}, f32, shape.kind == Kind::forward ? Tag::ba : Tag::ab}, engine);
        for (memory *each : {&source, &plain, &target})
            fill(static_cast<float *>(each->get_data_handle()), each->get_desc().get_size() / sizeof(float));
        dnnl::reorder(plain, weights).execute(stream, plain, weights);
        stream.wait();
        primitive = dnnl::matmul(description);
        arguments = {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, target}};
    }

    void run() {
        primitive.execute(stream, arguments);
        stream.wait();
    }

  private:
    dnnl::engine engine;
    dnnl::stream stream;
    dnnl::matmul primitive;
    std::unordered_map<int, memory> arguments;
};

/// GFLOP/s of all threads.
template <typename Product> static double rate(const Shape &shape, int threads, double seconds) {
    return rate_of(shape.flop(), threads, seconds, [&] { return Product(shape); });
}

static bool parse(const char *word, Shape &shape) {
    char kind[16] = "";
    long rows = 0, inner = 0, columns = 0;
    if (std::sscanf(word, "%15[a-z]:%ldx%ldx%ld", kind, &rows, &inner, &columns) != 4) return false;
    const std::string name = kind;
    if (name != "forward" && name != "inputs" && name != "weights") return false;
    shape = {name == "forward" ? Kind::forward : name == "inputs" ? Kind::inputs : Kind::weights, rows, inner, columns};
    return shape.is_valid();
}

int main(int count, char **words) {
    const int threads = count > 1 ? std::atoi(words[1]) : 0;
    const double seconds = count > 2 ? std::atof(words[2]) : 0;
    if (count < 4 || threads < 1 || seconds <= 0) {
        std::cerr << "usage: train-limit THREADS SECONDS KIND:ROWSxINNERxCOLUMNS...\n";
        return 2;
    }
    omp_set_num_threads(1);
    for (int index = 3; index < count; ++index) {
        Shape shape;
        if (!parse(words[index], shape)) {
            std::cerr << "train-limit: '" << words[index] << "' is no product\n";
            return 2;
        }
        const double best = std::max(rate<Sgemm>(shape, threads, seconds), rate<Matmul>(shape, threads, seconds));
        std::cout << words[index] << ' ' << best << std::endl;
    }
}
