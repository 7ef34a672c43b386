// The kernel MOVING_STATISTICS of @resbatchnorm/layer (src/kernels/kernel.ts) by its rule
// `exponential`, as an op of TensorFlow for the CPU:
//
//     next = moving·momentum + batch·batch_weight
//
// with batch_weight = 1 − momentum, which float32 could not tell from a momentum near 1.
// If not all statistics of the batch are finite, they are skipped: the moving ones stay as they
// are, and one more is counted.
#include <cmath>

#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace resbatchnorm {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::errors::InvalidArgument;

REGISTER_OP("ResBatchNormMovingStatistics")
    .Input("mean: float")
    .Input("variance: float")
    .Input("moving_mean: float")
    .Input("moving_variance: float")
    .Input("skipped: float")
    .Output("next_mean: float")
    .Output("next_variance: float")
    .Output("next_skipped: float")
    .Attr("momentum: float")
    .Attr("batch_weight: float")
    .Attr("skip_non_finite: bool = true")
    .SetShapeFn(tensorflow::shape_inference::UnknownShape);

bool AreFinite(const Tensor& values) {
  const auto flat = values.flat<float>();
  for (int64_t i = 0; i < flat.size(); ++i) {
    if (!std::isfinite(flat(i))) return false;
  }
  return true;
}

class MovingStatisticsKernel : public OpKernel {
 public:
  explicit MovingStatisticsKernel(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("momentum", &momentum_));
    OP_REQUIRES_OK(context, context->GetAttr("batch_weight", &batch_weight_));
    OP_REQUIRES_OK(context, context->GetAttr("skip_non_finite", &skip_non_finite_));
  }

  void Compute(OpKernelContext* context) override {
    const TensorShape& shape = context->input(0).shape();
    for (int i = 1; i < 4; ++i) {
      const TensorShape& received = context->input(i).shape();
      OP_REQUIRES(context, received == shape,
                  InvalidArgument("the statistics must be of one shape. Received: ",
                                  shape.DebugString(), " and ", received.DebugString()));
    }
    const Tensor& skipped = context->input(4);
    OP_REQUIRES(context, skipped.NumElements() == 1,
                InvalidArgument("skipped must be a scalar. Received: ",
                                skipped.shape().DebugString()));
    if (skip_non_finite_ && !(AreFinite(context->input(0)) && AreFinite(context->input(1)))) {
      context->set_output(0, context->input(2));
      context->set_output(1, context->input(3));
      Tensor* next_skipped;
      OP_REQUIRES_OK(context, context->allocate_output(2, skipped.shape(), &next_skipped));
      next_skipped->flat<float>()(0) = skipped.flat<float>()(0) + 1;
      return;
    }
    for (int i = 0; i < 2; ++i) {
      Tensor* next;
      OP_REQUIRES_OK(context, context->allocate_output(i, shape, &next));
      const auto batch = context->input(i).flat<float>();
      const auto moving = context->input(i + 2).flat<float>();
      auto result = next->flat<float>();
      for (int64_t c = 0; c < batch.size(); ++c) {
        result(c) = moving(c) * momentum_ + batch(c) * batch_weight_;
      }
    }
    context->set_output(2, skipped);
  }

 private:
  float momentum_, batch_weight_;
  bool skip_non_finite_;
};

REGISTER_KERNEL_BUILDER(Name("ResBatchNormMovingStatistics").Device(tensorflow::DEVICE_CPU),
                        MovingStatisticsKernel);

}  // namespace
}  // namespace resbatchnorm
