/** The functions of packages/native/addon/cluster.cc, which are in the addon of tfjs-node. */
import {builtAddonFile} from '@resbatchnorm/native';
import koffi from 'koffi';

/** What ops cannot do: start the server between the processes, and end calls that do not end. */
export interface NativeCluster {
  /** Before TensorFlow is loaded. Returns why it cannot be, or ''. */
  configure(addresses: string, rank: number): string;
  /** After TensorFlow was loaded: why this process is not in the cluster, or ''. */
  error(): string;
  /** From here to `endCall`, collective ops may take so long together before they fail. */
  beginCall(call: string, timeoutSeconds: number): void;
  endCall(): void;
  /** Whoever does not answer within 2 seconds: `rank 1 (host:port), …`, or ''. */
  silentRanks(): string;
  /** Collectives of all processes fail from now on; their messages have `why` in `<< >>`. */
  abortCollectives(why: string): void;
  /** Before the process ends. */
  leave(): void;
}

/**
 * Loads the addon; tfjs-node gets the same one when it is loaded.
 *
 * @throws NativeError if it is not the one that `resbatchnorm-native setup` built.
 */
export function loadNativeCluster(): NativeCluster {
  const library = koffi.load(builtAddonFile());
  return {
    configure: library.func(
      'const char *ResBatchNormConfigureCluster(const char *, int32_t)',
    ),
    error: library.func('const char *ResBatchNormClusterError()'),
    beginCall: library.func('void ResBatchNormBeginCall(const char *, double)'),
    endCall: library.func('void ResBatchNormEndCall()'),
    silentRanks: library.func('const char *ResBatchNormSilentRanks()'),
    abortCollectives: library.func('void ResBatchNormAbortCollectives(const char *)'),
    leave: library.func('void ResBatchNormLeaveCluster()'),
  };
}
