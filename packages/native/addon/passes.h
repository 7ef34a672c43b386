// The passes of batch normalization over float32 arrays: two that read, two that write, which is
// the least traffic there can be. They know nothing of TensorFlow but its thread pool.
//
// An array is seen as [outer, channels, inner], where `outer` is the product of the dimensions
// before that of the channels and `inner` of those after it. Sums are float64, over differences
// to a value of the channel, so that they are right however far from zero the values are.
#ifndef RESBATCHNORM_PASSES_H_
#define RESBATCHNORM_PASSES_H_

#include <cstdint>
#include <vector>

#include "tensorflow/core/lib/core/threadpool.h"

namespace resbatchnorm {

struct ChannelView {
  int64_t outer, channels, inner;
  int64_t count() const { return outer * inner; }
  int64_t size() const { return outer * channels * inner; }
};

// An activation lets through the values within its bounds, and cuts off all others to them.
struct Bounds {
  float low, high;
};

// dz = dy·activation′: dy where the activation let y through, 0 elsewhere. Without y the
// activation is linear, and dz is dy.
struct Upstream {
  const float* dy;
  const float* y;
  Bounds bounds;
};

// One value of each a channel, for a·(x − shift) + b.
struct Affine {
  std::vector<float> shift, a, b;
  explicit Affine(int64_t channels) : shift(channels), a(channels), b(channels) {}
};

using Sums = std::vector<double>;

class Passes {
 public:
  Passes(const ChannelView& view, tensorflow::thread::ThreadPool* pool)
      : view_(view), pool_(pool) {}

  // The mean and the biased variance of each channel.
  void Moments(const float* x, Sums* mean, Sums* variance) const;

  // y = activation(a·(x − shift) + b + shortcut); the shortcut may be null.
  void Normalize(const float* x, const float* shortcut, const Affine& affine, Bounds bounds,
                 float* y) const;

  // Σdz, Σx′ and Σdz·x′ of each channel, with x′ = x − shift.
  void GradSums(const Upstream& upstream, const float* x, const float* shift, Sums* sum_dz,
                Sums* sum_x, Sums* sum_dz_x) const;

  // dx = dz_scale·dz + a·(x − shift) + b, and dz itself unless it is null.
  void InputGrad(const Upstream& upstream, const float* x, const std::vector<float>& dz_scale,
                 const Affine& affine, float* dx, float* dz) const;

 private:
  const ChannelView view_;
  tensorflow::thread::ThreadPool* const pool_;
};

}  // namespace resbatchnorm

#endif  // RESBATCHNORM_PASSES_H_
