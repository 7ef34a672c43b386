// Batch normalization as ops of TensorFlow for the CPU: the kernels TRAINING, TRAINING_GRAD and
// INFERENCE of @resbatchnorm/layer (src/kernels/kernel.ts), one op each, shortcut and activation
// included.
#include "norm_kernel.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace resbatchnorm {
namespace {

using tensorflow::shape_inference::UnknownShape;

// Lists of one tensor or none stand for inputs and outputs that are optional.
REGISTER_OP("ResBatchNormTraining")
    .Input("x: float")
    .Input("gamma: float")
    .Input("beta: float")
    .Input("shortcut: shortcuts * float")
    .Output("y: float")
    .Output("mean: float")
    .Output("variance: float")
    .Attr("shortcuts: int >= 0 = 0")
    .NORM_ATTRS.SetShapeFn(UnknownShape);

REGISTER_OP("ResBatchNormTrainingGrad")
    .Input("dy: float")
    .Input("x: float")
    .Input("gamma: float")
    .Input("mean: float")
    .Input("variance: float")
    .Input("y: ys * float")
    .Output("dx: float")
    .Output("dgamma: float")
    .Output("dbeta: float")
    .Output("dshortcut: shortcuts * float")
    .Attr("ys: int >= 0 = 0")
    .Attr("shortcuts: int >= 0 = 0")
    .NORM_ATTRS.SetShapeFn(UnknownShape);

REGISTER_OP("ResBatchNormInference")
    .Input("x: float")
    .Input("gamma: float")
    .Input("beta: float")
    .Input("mean: float")
    .Input("variance: float")
    .Input("shortcut: shortcuts * float")
    .Output("y: float")
    .Attr("shortcuts: int >= 0 = 0")
    .NORM_ATTRS.SetShapeFn(UnknownShape);

class TrainingKernel : public NormKernel {
 public:
  using NormKernel::NormKernel;
  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const Tensor& gamma = context->input(1);
    const Tensor& beta = context->input(2);
    const Tensor* shortcut = Optional(context, 3);
    const ChannelView view = View(context, x, {shortcut}, {&gamma, &beta});
    Tensor *y, *mean, *variance;
    OP_REQUIRES_OK(context, context->status());
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &y));
    OP_REQUIRES_OK(context, context->allocate_output(1, gamma.shape(), &mean));
    OP_REQUIRES_OK(context, context->allocate_output(2, gamma.shape(), &variance));
    if (x.NumElements() == 0) return;

    const Passes passes = PassesOver(context, view);
    Sums means, variances;
    passes.Moments(Data(x), &means, &variances);
    std::copy(means.begin(), means.end(), Data(mean));
    std::copy(variances.begin(), variances.end(), Data(variance));
    passes.Normalize(Data(x), Data(shortcut),
                     Normalization(view.channels, Data(gamma), Data(beta), means, variances),
                     bounds_, Data(y));
  }
};

class InferenceKernel : public NormKernel {
 public:
  using NormKernel::NormKernel;
  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const Tensor& gamma = context->input(1);
    const Tensor& beta = context->input(2);
    const Tensor& mean = context->input(3);
    const Tensor& variance = context->input(4);
    const Tensor* shortcut = Optional(context, 5);
    const ChannelView view = View(context, x, {shortcut}, {&gamma, &beta, &mean, &variance});
    Tensor* y;
    OP_REQUIRES_OK(context, context->status());
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &y));
    if (x.NumElements() == 0) return;
    PassesOver(context, view)
        .Normalize(Data(x), Data(shortcut),
                   Normalization(view.channels, Data(gamma), Data(beta), Data(mean),
                                 Data(variance)),
                   bounds_, Data(y));
  }
};

// With r = 1/√(variance + epsilon) and n values a channel
//
//     dbeta  = Σ dz
//     dgamma = r·Σ dz·(x − mean)
//     dx     = gamma·r·(dz − dbeta/n − (x − mean)·r·dgamma/n)
class TrainingGradKernel : public NormKernel {
 public:
  using NormKernel::NormKernel;
  void Compute(OpKernelContext* context) override {
    const Tensor& dy = context->input(0);
    const Tensor& x = context->input(1);
    const Tensor& gamma = context->input(2);
    const Tensor& mean = context->input(3);
    const Tensor& variance = context->input(4);
    const Tensor* y = Optional(context, 5);
    const ChannelView view = View(context, x, {&dy, y}, {&gamma, &mean, &variance});
    OpOutputList dshortcuts;
    Tensor *dx, *dgamma, *dbeta, *dshortcut = nullptr;
    OP_REQUIRES_OK(context, context->status());
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &dx));
    OP_REQUIRES_OK(context, context->allocate_output(1, gamma.shape(), &dgamma));
    OP_REQUIRES_OK(context, context->allocate_output(2, gamma.shape(), &dbeta));
    OP_REQUIRES_OK(context, context->output_list("dshortcut", &dshortcuts));
    if (dshortcuts.size() > 0) {
      OP_REQUIRES_OK(context, dshortcuts.allocate(0, x.shape(), &dshortcut));
    }
    if (x.NumElements() == 0) return;

    const Passes passes = PassesOver(context, view);
    const Upstream upstream{Data(dy), Data(y), bounds_};
    Sums sum_dz, sum_x, sum_dz_x;
    passes.GradSums(upstream, Data(x), Data(mean), &sum_dz, &sum_x, &sum_dz_x);
    const double n = view.count();
    Affine affine(view.channels);
    std::vector<float> dz_scale(view.channels);
    for (int64_t c = 0; c < view.channels; ++c) {
      const double r = Rsqrt(Data(variance)[c]);
      // The mean came as float32; what it is off by is the mean of x less it.
      const double residual = sum_x[c] / n;
      const double of_gamma = r * (sum_dz_x[c] - residual * sum_dz[c]);
      const double scale = Data(gamma)[c] * r;
      const double a = -scale * r * of_gamma / n;
      dz_scale[c] = scale;
      affine.shift[c] = Data(mean)[c];
      affine.a[c] = a;
      affine.b[c] = -scale * sum_dz[c] / n - a * residual;
      Data(dgamma)[c] = of_gamma;
      Data(dbeta)[c] = sum_dz[c];
    }
    passes.InputGrad(upstream, Data(x), dz_scale, affine, Data(dx),
                     Data(dshortcut));
  }
};

REGISTER_KERNEL_BUILDER(Name("ResBatchNormTraining").Device(tensorflow::DEVICE_CPU),
                        TrainingKernel);
REGISTER_KERNEL_BUILDER(Name("ResBatchNormTrainingGrad").Device(tensorflow::DEVICE_CPU),
                        TrainingGradKernel);
REGISTER_KERNEL_BUILDER(Name("ResBatchNormInference").Device(tensorflow::DEVICE_CPU),
                        InferenceKernel);

}  // namespace
}  // namespace resbatchnorm
