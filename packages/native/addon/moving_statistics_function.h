#ifndef RESBATCHNORM_MOVING_STATISTICS_FUNCTION_H_
#define RESBATCHNORM_MOVING_STATISTICS_FUNCTION_H_

#include "tensorflow/c/eager/c_api.h"

namespace resbatchnorm {

void AddMovingStatisticsFunction(TFE_Context* context);

}  // namespace resbatchnorm

#endif  // RESBATCHNORM_MOVING_STATISTICS_FUNCTION_H_
