/** What nvidia-smi tells. Everything is undefined where it is not there. */
import {execFile} from 'node:child_process';
import {promisify} from 'node:util';

export async function driverVersion(): Promise<string | undefined> {
  return (await query('--query-gpu=driver_version'))?.[0]?.[0];
}

export async function gpuName(): Promise<string | undefined> {
  return (await query('--query-gpu=name'))?.[0]?.[0];
}

export interface UsedMemory {
  mebibytes: number;
  /** Whose it is: in a container, nvidia-smi may not know the process. */
  of: 'process' | 'GPU';
}

/** The GPU memory that this process uses, or else all that is used; over all GPUs. */
export async function usedMemory(pid = process.pid): Promise<UsedMemory | undefined> {
  const apps = await query('--query-compute-apps=pid,used_memory');
  const gpus = await query('--query-gpu=memory.used');
  return readUsedMemory(apps ?? [], gpus ?? [], pid);
}

/** `apps`: rows of process and MiB, one a GPU that it uses; `gpus`: rows of MiB. */
export function readUsedMemory(
  apps: string[][],
  gpus: string[][],
  pid: number,
): UsedMemory | undefined {
  const own = sum(apps.filter(([app]) => Number(app) === pid).map(([, used]) => used));
  if (own !== undefined) return {mebibytes: own, of: 'process'};
  const all = sum(gpus.map(([used]) => used));
  return all === undefined ? undefined : {mebibytes: all, of: 'GPU'};
}

/** Undefined without a number, such as `[N/A]` where it is not told. */
function sum(cells: string[]): number | undefined {
  const isTold = cells.length > 0 && cells.every(cell => /^\d+$/.test(cell));
  return isTold ? cells.reduce((total, cell) => total + Number(cell), 0) : undefined;
}

async function query(what: string): Promise<string[][] | undefined> {
  try {
    const {stdout} = await promisify(execFile)(
      'nvidia-smi',
      [what, '--format=csv,noheader,nounits'],
      {timeout: 20_000},
    );
    return readRows(stdout);
  } catch {
    return undefined;
  }
}

export function readRows(stdout: string): string[][] {
  return stdout
    .split('\n')
    .filter(line => line.trim() !== '')
    .map(line => line.split(',').map(field => field.trim()));
}
