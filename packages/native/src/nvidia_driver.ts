/** The NVIDIA driver of this machine and its GPUs. */
import {existsSync, readFileSync} from 'node:fs';

import {runProcess} from './run_process.js';

export interface Gpu {
  name: string;
  memoryMiB?: number;
  /** Such as `8.6`. */
  computeCapability?: string;
}

export interface NvidiaDriver {
  version?: string;
  /** Empty if nvidia-smi, which lists them, is not there. */
  gpus: Gpu[];
}

// The second is where the Windows driver puts it in WSL.
const nvidiaSmiCommands = ['nvidia-smi', '/usr/lib/wsl/lib/nvidia-smi'];
// compute_cap is not known to the nvidia-smi of drivers before 470.
const queries = [
  'driver_version,name,memory.total,compute_cap',
  'driver_version,name,memory.total',
];
// What a GPU of NVIDIA looks like on Linux and in WSL.
const deviceFiles = ['/dev/nvidiactl', '/dev/dxg'];

/** Undefined if no driver answers. */
export async function findNvidiaDriver(): Promise<NvidiaDriver | undefined> {
  for (const command of nvidiaSmiCommands) {
    for (const query of queries) {
      const {ok, stdout} = await runProcess(
        command,
        [`--query-gpu=${query}`, '--format=csv,noheader,nounits'],
        {timeoutMs: 20_000},
      );
      if (ok) return parseNvidiaSmi(stdout);
    }
  }
  // Containers may have the driver's library and the GPU, but not nvidia-smi.
  if (deviceFiles.some(existsSync) && (await loads('libcuda.so.1'))) {
    return {version: kernelModuleVersion(), gpus: []};
  }
  return undefined;
}

/** Reads the lines `driver, name, MiB, compute capability`. */
export function parseNvidiaSmi(stdout: string): NvidiaDriver {
  const rows = stdout
    .split('\n')
    .filter(line => line.includes(','))
    .map(line => line.split(',').map(field => field.trim()));
  return {
    version: rows[0]?.[0],
    gpus: rows.map(([, name, memory, computeCapability]) => ({
      name,
      // `[N/A]` where a GPU has no memory of its own.
      memoryMiB: /^\d+$/.test(memory) ? Number(memory) : undefined,
      computeCapability: /^\d+\.\d+$/.test(computeCapability ?? '')
        ? computeCapability
        : undefined,
    })),
  };
}

/** Whether the dynamic loader finds a library: tried in a process of its own. */
async function loads(library: string): Promise<boolean> {
  const script = `process.dlopen({exports: {}}, ${JSON.stringify(library)})`;
  const {stderr} = await runProcess(process.execPath, ['-e', script]);
  // It is no addon of Node, so that much is always complained of.
  return !/cannot open shared object file/.test(stderr);
}

function kernelModuleVersion(): string | undefined {
  try {
    const text = readFileSync('/proc/driver/nvidia/version', 'utf8');
    return /Kernel Module\D*\s(\d+(?:\.\d+)+)/.exec(text)?.[1];
  } catch {
    return undefined;
  }
}
