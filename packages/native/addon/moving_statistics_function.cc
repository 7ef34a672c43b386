// The kernel MOVING_STATISTICS of @resbatchnorm/layer by its rule `exponential`, as a function:
// ops of TensorFlow that are called as one and run on whatever device the inputs are on. On a CPU the op of moving_statistics_op.cc does the same in less time.
#include "moving_statistics_function.h"

#include <string>
#include <vector>

#include "tensorflow/core/framework/function.h"

namespace {

using tensorflow::DT_BOOL;
using tensorflow::DT_FLOAT;
using tensorflow::DT_INT32;
using tensorflow::FunctionDef;
using tensorflow::FunctionDefHelper;
using Node = FunctionDefHelper::Node;

Node FloatOp(const std::string& name, const std::string& op,
             const std::vector<std::string>& inputs) {
  return {{name}, op, inputs, {{"T", DT_FLOAT}}};
}

// Node `name` = moving·momentum + batch·batch_weight.
void Follow(const std::string& name, const std::string& moving, const std::string& batch,
            std::vector<Node>* nodes) {
  nodes->push_back(FloatOp(name + "_kept", "Mul", {moving, "momentum"}));
  nodes->push_back(FloatOp(name + "_added", "Mul", {batch, "batch_weight"}));
  nodes->push_back(FloatOp(name, "AddV2", {name + "_kept:z", name + "_added:z"}));
}

FunctionDef MovingStatistics() {
  std::vector<Node> nodes;
  nodes.push_back(FunctionDefHelper::Const<int>("channels", {0}));
  nodes.push_back(FloatOp("mean_finite", "IsFinite", {"mean"}));
  nodes.push_back(FloatOp("variance_finite", "IsFinite", {"variance"}));
  nodes.push_back({{"both_finite"}, "LogicalAnd", {"mean_finite:y", "variance_finite:y"}, {}});
  nodes.push_back({{"finite"},
                   "All",
                   {"both_finite:z", "channels:output"},
                   {{"Tidx", DT_INT32}, {"keep_dims", false}}});
  Follow("followed_mean", "moving_mean", "mean", &nodes);
  Follow("followed_variance", "moving_variance", "variance", &nodes);
  nodes.push_back(
      FloatOp("mean_or_same", "SelectV2", {"finite:output", "followed_mean:z", "moving_mean"}));
  nodes.push_back(FloatOp("variance_or_same", "SelectV2",
                          {"finite:output", "followed_variance:z", "moving_variance"}));
  nodes.push_back({{"not_finite"}, "LogicalNot", {"finite:output"}, {}});
  nodes.push_back({{"one_or_none"},
                   "Cast",
                   {"not_finite:y"},
                   {{"SrcT", DT_BOOL}, {"DstT", DT_FLOAT}}});
  nodes.push_back(FloatOp("count", "AddV2", {"skipped", "one_or_none:y"}));
  return FunctionDefHelper::Create(
      "ResBatchNormMovingStatisticsFunction",
      {"mean: float", "variance: float", "moving_mean: float", "moving_variance: float",
       "skipped: float", "momentum: float", "batch_weight: float"},
      {"next_mean: float", "next_variance: float", "next_skipped: float"}, {}, nodes,
      {{"next_mean", "mean_or_same:output"},
       {"next_variance", "variance_or_same:output"},
       {"next_skipped", "count:z"}});
}

}  // namespace

namespace resbatchnorm {

void AddMovingStatisticsFunction(TFE_Context* context) {
  const std::string definition = MovingStatistics().SerializeAsString();
  // Whoever calls the function learns of a failure: it is not there then.
  TF_Status* const ignored = TF_NewStatus();
  TFE_ContextAddFunctionDef(context, definition.data(), definition.size(), ignored);
  TF_DeleteStatus(ignored);
}

}  // namespace resbatchnorm
