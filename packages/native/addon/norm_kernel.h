// What the kernels of batch normalization for the CPU have in common.
#ifndef RESBATCHNORM_NORM_KERNEL_H_
#define RESBATCHNORM_NORM_KERNEL_H_

#include <cmath>
#include <initializer_list>
#include <limits>
#include <string>

#include "passes.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"

// Whoever calls an op leaves out what has its default, as each attribute takes its time.
#define NORM_ATTRS                                           \
  Attr("axis: int >= 0")                                     \
      .Attr("epsilon: float")                                \
      .Attr("activation: {'linear', 'relu', 'relu6'} = 'linear'")

namespace resbatchnorm {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::OpOutputList;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::errors::InvalidArgument;

inline const float* Data(const Tensor& tensor) { return tensor.flat<float>().data(); }
inline const float* Data(const Tensor* tensor) { return tensor ? Data(*tensor) : nullptr; }
inline float* Data(Tensor* tensor) { return tensor ? tensor->flat<float>().data() : nullptr; }

// The last input, which is optional; null if it is not there.
inline const Tensor* Optional(OpKernelContext* context, int index) {
  return index < context->num_inputs() ? &context->input(index) : nullptr;
}

// A kernel whose op has the NORM_ATTRS.
class NormKernel : public OpKernel {
 public:
  explicit NormKernel(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("axis", &axis_));
    OP_REQUIRES_OK(context, context->GetAttr("epsilon", &epsilon_));
    std::string activation;
    OP_REQUIRES_OK(context, context->GetAttr("activation", &activation));
    const float infinity = std::numeric_limits<float>::infinity();
    bounds_ = {activation == "linear" ? -infinity : 0, activation == "relu6" ? 6 : infinity};
  }

 protected:
  // An empty view, with an error in the context, if the shapes do not fit. Null stands for a
  // tensor that is not there.
  ChannelView View(OpKernelContext* context, const Tensor& x,
                   std::initializer_list<const Tensor*> of_shape_of_x,
                   std::initializer_list<const Tensor*> per_channel) const {
    ChannelView view{1, 0, 1};
    if (axis_ >= x.dims()) {
      context->CtxFailure(InvalidArgument("axis must be less than the rank of x. Received: axis ",
                                          axis_, ", x of shape ", x.shape().DebugString()));
      return view;
    }
    const auto fits = [&](const Tensor* tensor, const TensorShape& shape) {
      if (tensor->shape() == shape) return true;
      context->CtxFailure(InvalidArgument("an input must be of shape ", shape.DebugString(),
                                          ". Received: ", tensor->shape().DebugString()));
      return false;
    };
    for (const Tensor* tensor : of_shape_of_x) {
      if (tensor && !fits(tensor, x.shape())) return view;
    }
    for (const Tensor* tensor : per_channel) {
      if (!fits(tensor, TensorShape({x.dim_size(axis_)}))) return view;
    }
    view.channels = x.dim_size(axis_);
    for (int i = 0; i < x.dims(); ++i) {
      if (i < axis_) view.outer *= x.dim_size(i);
      if (i > axis_) view.inner *= x.dim_size(i);
    }
    return view;
  }

  static Passes PassesOver(OpKernelContext* context, const ChannelView& view) {
    return Passes(view, context->device()->tensorflow_cpu_worker_threads()->workers);
  }

  double Rsqrt(double variance) const { return 1 / std::sqrt(variance + epsilon_); }

  // gamma·(x − mean)/√(variance + epsilon) + beta as a·(x − shift) + b in float32, where b makes
  // up for what the mean loses in rounding.
  template <typename Statistics>
  Affine Normalization(int64_t channels, const float* gamma, const float* beta,
                       const Statistics& mean, const Statistics& variance) const {
    Affine affine(channels);
    for (int64_t c = 0; c < channels; ++c) {
      const double a = gamma[c] * Rsqrt(variance[c]);
      affine.shift[c] = mean[c];
      affine.a[c] = a;
      affine.b[c] = beta[c] + a * (static_cast<double>(affine.shift[c]) - mean[c]);
    }
    return affine;
  }

  int64_t axis_;
  float epsilon_;
  Bounds bounds_;
};

}  // namespace resbatchnorm

#endif  // RESBATCHNORM_NORM_KERNEL_H_
