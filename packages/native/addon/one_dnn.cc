// Switches oneDNN on when the addon is loaded, unless the user has decided: see src/one_dnn.ts.
// This is early enough: with 0 in place of 1, no kernel of oneDNN ran (TensorFlow 2.20).
#include <cstdlib>

__attribute__((constructor)) static void SwitchOneDnnOn() {
  setenv("TF_ENABLE_ONEDNN_OPTS", "1", /*overwrite=*/0);
}
