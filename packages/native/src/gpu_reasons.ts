/** Why TensorFlow registered no GPU. */
import {cudaReleaseOf} from './cuda_libraries.js';
import type {NvidiaDriver} from './nvidia_driver.js';
import type {TensorFlowLog} from './tensorflow_log.js';
import {type BuildInfo, minimumComputeCapability} from './tensorflow_installation.js';
import {isAtLeast} from './versions.js';

/** Something wrong, and what mends it. Both are whole sentences. */
export interface Finding {
  problem: string;
  remedy: string;
}

export interface GpuFacts {
  tensorflowVersion: string;
  /** Undefined where libtensorflow came without it, as the one that npm downloads does. */
  build?: BuildInfo;
  driver?: NvidiaDriver;
  log: TensorFlowLog;
  /** CUDA_VISIBLE_DEVICES of the process. */
  visibleDevices?: string;
}

export const setUpGpu = 'Run `npx resbatchnorm-native setup --gpu`.';

/** The drivers that a CUDA release needs at least, by its major version. */
const oldestDrivers: Record<string, string> = {11: '450.80.02', 12: '525.60.13'};

/** All reasons that are known, the one to mend first in front; never empty. */
export function whyNoGpu(facts: GpuFacts): Finding[] {
  const reasons = [
    noDriver(facts),
    oldDriver(facts),
    builtForCpu(facts),
    hiddenGpus(facts),
    missingLibraries(facts),
    oldGpus(facts),
  ].filter(reason => reason !== undefined);
  if (reasons.length > 0) return reasons;
  const [complaint] = facts.log.complaints;
  return [
    {
      problem: `TensorFlow registered no GPU: ${complaint ?? 'it does not say why'}.`,
      remedy: complaint?.includes('cuInit')
        ? 'Check the driver with `nvidia-smi`: after an update it needs a restart.'
        : 'See its log with TF_CPP_MIN_LOG_LEVEL=0 TF_CPP_MAX_VLOG_LEVEL=1.',
    },
  ];
}

function builtForCpu({build, tensorflowVersion}: GpuFacts): Finding | undefined {
  if (!build || build.isCuda) return undefined;
  return {
    problem: `libtensorflow ${tensorflowVersion} is built for the CPU.`,
    remedy: setUpGpu,
  };
}

function noDriver({driver}: GpuFacts): Finding | undefined {
  if (driver) return undefined;
  return {
    problem: 'No NVIDIA driver answers: there is neither nvidia-smi nor libcuda.so.1.',
    remedy:
      `Install the NVIDIA driver, ${oldestDrivers[12]} or newer; start a container with ` +
      '`--gpus all`.',
  };
}

function oldDriver({driver, tensorflowVersion}: GpuFacts): Finding | undefined {
  const {cuda} = cudaReleaseOf(tensorflowVersion);
  const oldest = oldestDrivers[cuda.split('.')[0]];
  if (!driver?.version || isAtLeast(driver.version, oldest)) return undefined;
  return {
    problem: `The NVIDIA driver ${driver.version} is too old: CUDA ${cuda} needs ${oldest}.`,
    remedy: `Update the driver to ${oldest} or newer.`,
  };
}

function hiddenGpus({visibleDevices}: GpuFacts): Finding | undefined {
  if (visibleDevices === undefined || /^\d|^GPU-|^MIG-/.test(visibleDevices))
    return undefined;
  return {
    problem: `CUDA_VISIBLE_DEVICES is "${visibleDevices}", which hides all GPUs.`,
    remedy: 'Unset CUDA_VISIBLE_DEVICES.',
  };
}

function missingLibraries({log, tensorflowVersion}: GpuFacts): Finding | undefined {
  const {cuda, cudnn, libraries} = cudaReleaseOf(tensorflowVersion);
  const missing = log.missingLibraries
    .map(({name}) => name)
    .filter(name => libraries.includes(name));
  if (missing.length === 0) return undefined;
  return {
    problem:
      `libtensorflow ${tensorflowVersion} is built for CUDA ${cuda} and cuDNN ${cudnn}, and ` +
      `does not find ${missing.join(', ')}.`,
    remedy: setUpGpu,
  };
}

function oldGpus({build, driver}: GpuFacts): Finding | undefined {
  const minimum = build && minimumComputeCapability(build);
  const gpus = driver?.gpus.filter(gpu => gpu.computeCapability !== undefined) ?? [];
  if (minimum === undefined || gpus.length === 0) return undefined;
  if (gpus.some(gpu => Number(gpu.computeCapability) >= minimum)) return undefined;
  const names = gpus.map(gpu => `${gpu.name} (${gpu.computeCapability})`).join(', ');
  return {
    problem: `TensorFlow needs a GPU of compute capability ${minimum.toFixed(1)}: ${names}.`,
    remedy: 'Run `npx resbatchnorm-native setup --cpu`, or use WebGPU.',
  };
}
