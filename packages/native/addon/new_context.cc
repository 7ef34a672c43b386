// What a context of TensorFlow needs from its very start. tfjs-node makes one when it is loaded,
// and lets nobody reach it: so the addon is linked with --wrap for the functions here.
#include "cluster.h"
#include "moving_statistics_function.h"
#include "tensorflow/c/eager/c_api.h"

extern "C" {

TFE_Context* __real_TFE_NewContext(const TFE_ContextOptions* options, TF_Status* status);

TFE_Context* __wrap_TFE_NewContext(const TFE_ContextOptions* options, TF_Status* status) {
  // They are tfjs-node's own, made for this call.
  resbatchnorm::SetClusterConfig(const_cast<TFE_ContextOptions*>(options));
  TFE_Context* const context = __real_TFE_NewContext(options, status);
  if (context == nullptr) return nullptr;
  resbatchnorm::EnableCollectiveOps(context);
  resbatchnorm::AddMovingStatisticsFunction(context);
  return context;
}

void __real_TFE_DeleteContext(TFE_Context* context);

void __wrap_TFE_DeleteContext(TFE_Context* context) {
  // TensorFlow cannot shut the server down, whose threads use the context, and warns of it.
  if (!resbatchnorm::HasServer()) __real_TFE_DeleteContext(context);
}

}  // extern "C"
