// The processes that train together over TensorFlow's own collective ops.
#ifndef RESBATCHNORM_CLUSTER_H_
#define RESBATCHNORM_CLUSTER_H_

#include "tensorflow/c/eager/c_api.h"

namespace resbatchnorm {

// Before a context is made: what it has to know of the cluster. Does nothing without one.
void SetClusterConfig(TFE_ContextOptions* options);

// Before anything asks the context for its devices, whose names change by this. Does nothing
// without a cluster, but notes the context.
void EnableCollectiveOps(TFE_Context* context);

// Whether the context has a server for the others.
bool HasServer();

}  // namespace resbatchnorm

#endif  // RESBATCHNORM_CLUSTER_H_
