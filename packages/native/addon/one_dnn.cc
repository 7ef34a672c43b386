// Switches oneDNN on when the addon is loaded, unless the user has decided: see src/one_dnn.ts.
// TensorFlow reads the variable when it is first asked for a kernel, which is later than this.
#include <cstdlib>

__attribute__((constructor)) static void SwitchOneDnnOn() {
  setenv("TF_ENABLE_ONEDNN_OPTS", "1", /*overwrite=*/0);
}
