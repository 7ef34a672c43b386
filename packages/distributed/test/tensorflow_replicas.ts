/** Starts the replicas of a program on this machine, as TF_CONFIG has it. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {type AddressInfo, createServer} from 'node:net';
import {text} from 'node:stream/consumers';

export interface Ended {
  code: number | null;
  /** SIGKILL also of what still ran when the others had ended by themselves. */
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs one process for each rank but the `missing` ones, until all have ended; when all others
 * have, those that are `frozen` are killed.
 *
 * @throws Error after two minutes. Nothing is left behind then either.
 */
export async function runReplicas(
  program: string,
  args: string[],
  size: number,
  {missing = [], frozen = []}: {missing?: number[]; frozen?: number[]} = {},
): Promise<Ended[]> {
  const worker = await freeAddresses(size);
  const ranks = worker.map((_, rank) => rank).filter(rank => !missing.includes(rank));
  const children = ranks.map(index =>
    spawn(process.execPath, [program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        TF_CONFIG: JSON.stringify({cluster: {worker}, task: {type: 'worker', index}}),
        TF_NUM_INTRAOP_THREADS: '1',
        TF_CPP_MIN_LOG_LEVEL: '3',
      },
    }),
  );
  const kill = () => children.forEach(child => child.kill('SIGKILL'));
  const ends = children.map(ended);
  let isLate = false;
  const deadline = setTimeout(() => {
    isLate = true;
    kill();
  }, 120_000);
  try {
    await Promise.all(ends.filter((_, i) => !frozen.includes(ranks[i])));
    kill();
    const all = await Promise.all(ends);
    if (isLate)
      throw new Error(`Still running after two minutes: ${JSON.stringify(all)}`);
    return all;
  } finally {
    clearTimeout(deadline);
    kill();
  }
}

async function ended(child: ChildProcess): Promise<Ended> {
  const [[code, signal], stdout, stderr] = await Promise.all([
    once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
    text(child.stdout!),
    text(child.stderr!),
  ]);
  return {code, signal, stdout, stderr};
}

async function freeAddresses(count: number): Promise<string[]> {
  const servers = await Promise.all(
    Array.from({length: count}, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  return servers.map(server => {
    const {port} = server.address() as AddressInfo;
    server.close();
    return `127.0.0.1:${port}`;
  });
}
