// A step of an optimizer for all variables at once: what tf.train.sgd, momentum, rmsprop and adam
// of TensorFlow.js do by several ops for each variable, in one pass over the memory.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "parts.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "vector_units.h"

namespace resbatchnorm {
namespace {

using tensorflow::OpInputList;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::OpOutputList;
using tensorflow::Tensor;
using tensorflow::errors::InvalidArgument;
using tensorflow::thread::ThreadPool;

// The state is one tensor a variable for momentum and Nesterov (the accumulation), two for RMSProp
// (all mean squares, then all accumulations) and Adam (all first moments, then all second ones).
// The hyperparameters are
//
//     sgd                 learning_rate
//     momentum, nesterov  learning_rate, momentum
//     rmsprop             learning_rate, decay, 1 − decay, momentum, epsilon
//     adam                learning_rate, beta1, 1 − beta1, beta2, 1 − beta2, epsilon, 1 − beta1ᵗ,
//                         1 − beta2ᵗ
//
// where the differences are given because float32 has few digits of them.
REGISTER_OP("ResBatchNormOptimizerStep")
    .Input("values: variables * float")
    .Input("gradients: variables * float")
    .Input("state: states * float")
    .Input("hyperparameters: float")
    .Output("next_values: variables * float")
    .Output("next_state: states * float")
    .Attr("rule: {'sgd', 'momentum', 'nesterov', 'rmsprop', 'adam'}")
    .Attr("variables: int >= 1")
    .Attr("states: int >= 0")
    .SetShapeFn(tensorflow::shape_inference::UnknownShape);

// A piece of a variable, with what belongs to it.
struct Piece {
  const float* value;
  const float* gradient;
  const float* state[2];
  float* next_value;
  float* next_state[2];
  int64_t size;
};

FOR_EACH_VECTOR_UNIT
void Sgd(const Piece& piece, const float* hyper) {
  const float rate = hyper[0];
  for (int64_t i = 0; i < piece.size; ++i) {
    piece.next_value[i] = piece.value[i] - rate * piece.gradient[i];
  }
}

FOR_EACH_VECTOR_UNIT
void Momentum(const Piece& piece, const float* hyper) {
  const float rate = hyper[0], momentum = hyper[1];
  for (int64_t i = 0; i < piece.size; ++i) {
    const float accumulation = momentum * piece.state[0][i] + piece.gradient[i];
    piece.next_state[0][i] = accumulation;
    piece.next_value[i] = piece.value[i] - rate * accumulation;
  }
}

FOR_EACH_VECTOR_UNIT
void Nesterov(const Piece& piece, const float* hyper) {
  const float rate = hyper[0], momentum = hyper[1];
  for (int64_t i = 0; i < piece.size; ++i) {
    const float accumulation = momentum * piece.state[0][i] + piece.gradient[i];
    piece.next_state[0][i] = accumulation;
    piece.next_value[i] = piece.value[i] - rate * (piece.gradient[i] + momentum * accumulation);
  }
}

// Source: Tieleman and Hinton, "Lecture 6.5: rmsprop", 2012. Epsilon is within the root.
FOR_EACH_VECTOR_UNIT
void RmsProp(const Piece& piece, const float* hyper) {
  const float rate = hyper[0], kept = hyper[1], added = hyper[2];
  const float momentum = hyper[3], epsilon = hyper[4];
  for (int64_t i = 0; i < piece.size; ++i) {
    const float gradient = piece.gradient[i];
    const float square = kept * piece.state[0][i] + added * (gradient * gradient);
    const float step = rate * gradient / std::sqrt(square + epsilon);
    const float accumulation = momentum * piece.state[1][i] + step;
    piece.next_state[0][i] = square;
    piece.next_state[1][i] = accumulation;
    piece.next_value[i] = piece.value[i] - accumulation;
  }
}

// Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015.
FOR_EACH_VECTOR_UNIT
void Adam(const Piece& piece, const float* hyper) {
  const float rate = hyper[0], epsilon = hyper[5];
  const float kept1 = hyper[1], added1 = hyper[2], kept2 = hyper[3], added2 = hyper[4];
  const float correction1 = hyper[6], correction2 = hyper[7];
  for (int64_t i = 0; i < piece.size; ++i) {
    const float gradient = piece.gradient[i];
    const float first = kept1 * piece.state[0][i] + added1 * gradient;
    const float second = kept2 * piece.state[1][i] + added2 * (gradient * gradient);
    piece.next_state[0][i] = first;
    piece.next_state[1][i] = second;
    const float step = (first / correction1) / (std::sqrt(second / correction2) + epsilon);
    piece.next_value[i] = piece.value[i] - rate * step;
  }
}

struct Rule {
  const char* name;
  int states;
  int hyperparameters;
  void (*apply)(const Piece& piece, const float* hyper);
};

const Rule kRules[] = {
    {"sgd", 0, 1, Sgd},
    {"momentum", 1, 2, Momentum},
    {"nesterov", 1, 2, Nesterov},
    {"rmsprop", 2, 5, RmsProp},
    {"adam", 2, 8, Adam},
};

class OptimizerStepKernel : public OpKernel {
 public:
  explicit OptimizerStepKernel(OpKernelConstruction* context) : OpKernel(context) {
    std::string name;
    OP_REQUIRES_OK(context, context->GetAttr("rule", &name));
    rule_ = *std::find_if(std::begin(kRules), std::end(kRules),
                          [&](const Rule& rule) { return name == rule.name; });
  }

  void Compute(OpKernelContext* context) override {
    OpInputList values, gradients, state;
    OP_REQUIRES_OK(context, context->input_list("values", &values));
    OP_REQUIRES_OK(context, context->input_list("gradients", &gradients));
    OP_REQUIRES_OK(context, context->input_list("state", &state));
    const Tensor* hyper;
    OP_REQUIRES_OK(context, context->input("hyperparameters", &hyper));
    OP_REQUIRES(context,
                state.size() == rule_.states * values.size() &&
                    hyper->NumElements() == rule_.hyperparameters,
                InvalidArgument(rule_.name, " takes ", rule_.states,
                                " tensors of state a variable and ", rule_.hyperparameters,
                                " hyperparameters. Received: ", values.size(), " variables, ",
                                state.size(), " tensors, ", hyper->NumElements(),
                                " hyperparameters"));
    OpOutputList next_values, next_state;
    OP_REQUIRES_OK(context, context->output_list("next_values", &next_values));
    OP_REQUIRES_OK(context, context->output_list("next_state", &next_state));
    const int variables = values.size();
    std::vector<Piece> whole(variables);
    for (int i = 0; i < variables; ++i) {
      const auto& shape = values[i].shape();
      Tensor* next;
      const auto fits = [&](const Tensor& tensor) { return tensor.shape() == shape; };
      OP_REQUIRES(context, fits(gradients[i]),
                  InvalidArgument("a gradient must have the shape of its variable, ",
                                  shape.DebugString(), ". Received: ",
                                  gradients[i].shape().DebugString()));
      OP_REQUIRES_OK(context, next_values.allocate(i, shape, &next));
      whole[i] = {values[i].flat<float>().data(), gradients[i].flat<float>().data(), {},
                  next->flat<float>().data(), {}, shape.num_elements()};
      for (int kind = 0; kind < rule_.states; ++kind) {
        const int at = kind * variables + i;
        OP_REQUIRES(context, fits(state[at]),
                    InvalidArgument("the state must have the shape of its variable, ",
                                    shape.DebugString(), ". Received: ",
                                    state[at].shape().DebugString()));
        OP_REQUIRES_OK(context, next_state.allocate(at, shape, &next));
        whole[i].state[kind] = state[at].flat<float>().data();
        whole[i].next_state[kind] = next->flat<float>().data();
      }
    }
    ApplyTo(whole, hyper->flat<float>().data(),
            context->device()->tensorflow_cpu_worker_threads()->workers);
  }

 private:
  // Each thread takes as many values, whatever variables they are of.
  void ApplyTo(const std::vector<Piece>& whole, const float* hyper, ThreadPool* pool) const {
    int64_t total = 0;
    for (const Piece& piece : whole) total += piece.size;
    ForEachPart(ThreadsFor(total, *pool), pool, [&](int64_t part, int64_t parts) {
      const int64_t begin = total * part / parts, end = total * (part + 1) / parts;
      int64_t start = 0;
      for (const Piece& piece : whole) {
        const int64_t from = std::max<int64_t>(0, begin - start);
        const int64_t to = std::min(piece.size, end - start);
        if (from < to) rule_.apply(Cut(piece, from, to), hyper);
        start += piece.size;
      }
    });
  }

  Piece Cut(Piece piece, int64_t from, int64_t to) const {
    piece.value += from;
    piece.gradient += from;
    piece.next_value += from;
    for (int kind = 0; kind < rule_.states; ++kind) {
      piece.state[kind] += from;
      piece.next_state[kind] += from;
    }
    piece.size = to - from;
    return piece;
  }

  Rule rule_;
};

REGISTER_KERNEL_BUILDER(Name("ResBatchNormOptimizerStep").Device(tensorflow::DEVICE_CPU),
                        OptimizerStepKernel);

}  // namespace
}  // namespace resbatchnorm
