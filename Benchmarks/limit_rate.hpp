// The rate of one product on several threads at once, for the programs that measure what oneDNN can do.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <omp.h>

/// GFLOP/s of all threads together.
///
/// `make` makes one thread's product, with memory of its own, whose `run` takes `flop` operations.
template <typename Make> double rate_of(double flop, int threads, double seconds, const Make &make) {
    using Clock = std::chrono::steady_clock;
    std::atomic<int> ready{0};
    std::vector<double> rates(size_t(threads), 0.0);
    std::vector<std::thread> workers;
    for (int index = 0; index < threads; ++index) {
        workers.emplace_back([&, index] {
            // The number of OpenMP threads belongs to the thread that sets it.
            omp_set_num_threads(1);
            auto product = make();
            for (int i = 0; i < 3; ++i) product.run();
            ++ready;
            while (ready < threads) std::this_thread::yield();
            const auto start = Clock::now();
            double elapsed = 0;
            long count = 0;
            while (elapsed < seconds) {
                product.run();
                ++count;
                elapsed = std::chrono::duration<double>(Clock::now() - start).count();
            }
            rates[size_t(index)] = double(count) * flop / elapsed / 1e9;
        });
    }
    for (auto &worker : workers) worker.join();
    double sum = 0;
    for (double one : rates) sum += one;
    return sum;
}
