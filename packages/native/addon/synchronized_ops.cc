// The parts of batch normalization between which replicas join their sums, as ops of TensorFlow
// for the CPU: the kernels MOMENTS, GRAD_SUMS and INPUT_GRAD of @resbatchnorm/layer
// (src/kernels/kernel.ts). What is per channel is one tensor, [rows, channels].
#include <vector>

#include "norm_kernel.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace resbatchnorm {
namespace {

using tensorflow::shape_inference::UnknownShape;

REGISTER_OP("ResBatchNormMoments")
    .Input("x: float")
    .Output("moments: float")
    .NORM_ATTRS.SetShapeFn(UnknownShape);

REGISTER_OP("ResBatchNormGradSums")
    .Input("dy: float")
    .Input("x: float")
    .Input("mean: float")
    .Input("y: ys * float")
    .Output("sums: float")
    .Attr("ys: int >= 0 = 0")
    .NORM_ATTRS.SetShapeFn(UnknownShape);

REGISTER_OP("ResBatchNormInputGrad")
    .Input("dy: float")
    .Input("x: float")
    .Input("affine: float")
    .Input("y: ys * float")
    .Output("dx: float")
    .Output("dshortcut: shortcuts * float")
    .Attr("ys: int >= 0 = 0")
    .Attr("shortcuts: int >= 0 = 0")
    .NORM_ATTRS.SetShapeFn(UnknownShape);

class MomentsKernel : public NormKernel {
 public:
  using NormKernel::NormKernel;
  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const ChannelView view = View(context, x, {}, {});
    Tensor* moments;
    OP_REQUIRES_OK(context, context->status());
    OP_REQUIRES_OK(context,
                   context->allocate_output(0, TensorShape({3, view.channels}), &moments));
    Sums means, variances;
    PassesOver(context, view).Moments(Data(x), &means, &variances);
    float* const mean = Data(moments);
    float* const rest = mean + view.channels;
    float* const variance = rest + view.channels;
    for (int64_t c = 0; c < view.channels; ++c) {
      mean[c] = means[c];
      rest[c] = means[c] - mean[c];
      variance[c] = variances[c];
    }
  }
};

class GradSumsKernel : public NormKernel {
 public:
  using NormKernel::NormKernel;
  void Compute(OpKernelContext* context) override {
    const Tensor& dy = context->input(0);
    const Tensor& x = context->input(1);
    const Tensor& mean = context->input(2);
    const Tensor* y = Optional(context, 3);
    const ChannelView view = View(context, x, {&dy, y}, {&mean});
    Tensor* sums;
    OP_REQUIRES_OK(context, context->status());
    OP_REQUIRES_OK(context, context->allocate_output(0, TensorShape({2, view.channels}), &sums));
    Sums sum_dz, sum_x, sum_dz_x;
    PassesOver(context, view)
        .GradSums({Data(dy), Data(y), bounds_}, Data(x), Data(mean), &sum_dz, &sum_x, &sum_dz_x);
    std::copy(sum_dz.begin(), sum_dz.end(), Data(sums));
    std::copy(sum_dz_x.begin(), sum_dz_x.end(), Data(sums) + view.channels);
  }
};

class InputGradKernel : public NormKernel {
 public:
  using NormKernel::NormKernel;
  void Compute(OpKernelContext* context) override {
    const Tensor& dy = context->input(0);
    const Tensor& x = context->input(1);
    const Tensor& rows = context->input(2);
    const Tensor* y = Optional(context, 3);
    const ChannelView view = View(context, x, {&dy, y}, {});
    OP_REQUIRES_OK(context, context->status());
    OP_REQUIRES(context, rows.shape() == TensorShape({4, view.channels}),
                InvalidArgument("affine must be of shape [4, ", view.channels,
                                "]. Received: ", rows.shape().DebugString()));
    OpOutputList dshortcuts;
    Tensor *dx, *dshortcut = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &dx));
    OP_REQUIRES_OK(context, context->output_list("dshortcut", &dshortcuts));
    if (dshortcuts.size() > 0) {
      OP_REQUIRES_OK(context, dshortcuts.allocate(0, x.shape(), &dshortcut));
    }
    const auto row = [&](int i) {
      const float* const begin = Data(rows) + i * view.channels;
      return std::vector<float>(begin, begin + view.channels);
    };
    Affine affine(view.channels);
    affine.shift = row(0);
    affine.a = row(2);
    affine.b = row(3);
    PassesOver(context, view)
        .InputGrad({Data(dy), Data(y), bounds_}, Data(x), row(1), affine, Data(dx),
                   Data(dshortcut));
  }
};

REGISTER_KERNEL_BUILDER(Name("ResBatchNormMoments").Device(tensorflow::DEVICE_CPU),
                        MomentsKernel);
REGISTER_KERNEL_BUILDER(Name("ResBatchNormGradSums").Device(tensorflow::DEVICE_CPU),
                        GradSumsKernel);
REGISTER_KERNEL_BUILDER(Name("ResBatchNormInputGrad").Device(tensorflow::DEVICE_CPU),
                        InputGradKernel);

}  // namespace
}  // namespace resbatchnorm
