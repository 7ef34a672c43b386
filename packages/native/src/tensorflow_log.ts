/**
 * What TensorFlow says on stderr while it starts and looks for GPUs, with
 * `TF_CPP_MIN_LOG_LEVEL=0 TF_CPP_VMODULE=dso_loader=1`. There is no other way to learn from
 * outside of it why it registered none, and whether it computes with oneDNN.
 */

export interface RegisteredGpu {
  index: number;
  name: string;
  memoryMiB: number;
  computeCapability: string;
}

export interface TensorFlowLog {
  gpus: RegisteredGpu[];
  /** Libraries that could not be loaded, with the loader's reason. */
  missingLibraries: {name: string; reason: string}[];
  /** Anything else that kept TensorFlow from using a GPU, in its own words. */
  complaints: string[];
  usesOneDnn: boolean;
}

const createdDevice =
  /Created device \S*device:GPU:(\d+) with (\d+) MB memory:\s+-> device: \d+, name: (.+), pci bus id: .*, compute capability: (\d+\.\d+)/;
const notLoaded =
  /Could not load dynamic library '([^']+)'; dlerror: (.*?)(?:; LD_LIBRARY_PATH: .*)?$/;
const complaints = [
  /failed call to cuInit: .*/,
  /Ignoring visible gpu device .*/,
  /CUDA_ERROR_\w+.*/,
  /kernel version \S+ does not match DSO version .*/,
];

export function parseTensorFlowLog(stderr: string): TensorFlowLog {
  const log: TensorFlowLog = {
    gpus: [],
    missingLibraries: [],
    complaints: [],
    usesOneDnn: stderr.includes('oneDNN custom operations are on'),
  };
  for (const line of stderr.split('\n')) {
    const device = createdDevice.exec(line);
    if (device) {
      const [, index, memory, name, computeCapability] = device;
      log.gpus.push({
        index: Number(index),
        name,
        memoryMiB: Number(memory),
        computeCapability,
      });
    }
    const library = notLoaded.exec(line);
    if (library) {
      const [, name, reason] = library;
      const isKnown = log.missingLibraries.some(missing => missing.name === name);
      if (!isKnown) log.missingLibraries.push({name, reason});
    }
    const complaint = complaints.map(pattern => pattern.exec(line)?.[0]).find(Boolean);
    if (complaint && !log.complaints.includes(complaint)) log.complaints.push(complaint);
  }
  return log;
}
