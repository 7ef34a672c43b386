/**
 * oneDNN, whose kernels TensorFlow has for CPUs. By itself it takes them on newer Intel
 * processors only, though on others they are faster as well: of a training step of ResNet-20
 * on an AMD EPYC they took half the time.
 */
export const ONE_DNN_VARIABLE = 'TF_ENABLE_ONEDNN_OPTS';

/**
 * Before TensorFlow is loaded, unless the user has decided. The addon that `setup` builds does
 * the same, for programs that know nothing of this package (addon/one_dnn.cc).
 */
export function switchOneDnnOn(env: NodeJS.ProcessEnv = process.env): void {
  env[ONE_DNN_VARIABLE] ??= '1';
}

/** Whether TensorFlow takes it, by the variable as TensorFlow reads it. */
export function isOneDnnOn(env: NodeJS.ProcessEnv = process.env): boolean {
  return /^(1|true)$/i.test(env[ONE_DNN_VARIABLE] ?? '');
}
