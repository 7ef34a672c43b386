// Work over many values, divided among the threads of TensorFlow's pool.
#ifndef RESBATCHNORM_PARTS_H_
#define RESBATCHNORM_PARTS_H_

#include <algorithm>
#include <cstdint>

#include "tensorflow/core/lib/core/threadpool.h"

namespace resbatchnorm {

// A thread is worth it for so many values: to wake one takes as long as to go over a few thousand.
constexpr int64_t kValuesPerThread = 16384;

// How many threads are worth it, one at least.
inline int64_t ThreadsFor(int64_t values, const tensorflow::thread::ThreadPool& pool) {
  return std::max<int64_t>(1, std::min<int64_t>(pool.NumThreads(), values / kValuesPerThread));
}

// Calls fn(part, parts) for each part, on a thread of the pool.
template <typename Fn>
void ForEachPart(int64_t parts, tensorflow::thread::ThreadPool* pool, Fn fn) {
  using tensorflow::thread::ThreadPool;
  if (parts == 1) return fn(0, 1);
  const ThreadPool::SchedulingParams one_each(
      ThreadPool::SchedulingStrategy::kFixedBlockSize, /*cost_per_unit=*/absl::nullopt,
      /*block_size=*/1);
  pool->ParallelFor(parts, one_each, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) fn(part, parts);
  });
}

}  // namespace resbatchnorm

#endif  // RESBATCHNORM_PARTS_H_
