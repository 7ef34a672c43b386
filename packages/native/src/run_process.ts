/** Runs a program to its end and keeps what it wrote. */
import {spawn} from 'node:child_process';
import {createInterface} from 'node:readline';

export interface ProcessResult {
  /** Whether the program started and ended with exit code 0. */
  ok: boolean;
  /** Why not, in a few words. */
  failure?: string;
  stdout: string;
  stderr: string;
}

export interface ProcessOptions {
  env?: NodeJS.ProcessEnv;
  timeoutMs?: number;
  /** Called for each line of stdout while the program runs. */
  onLine?: (line: string) => void;
}

/** Never rejects: a program that cannot be started is a result with a `failure`, too. */
export function runProcess(
  command: string,
  args: string[],
  {env = process.env, timeoutMs, onLine}: ProcessOptions = {},
): Promise<ProcessResult> {
  return new Promise(resolve => {
    const child = spawn(command, args, {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', text => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', text => (stderr += text));
    if (onLine) createInterface({input: child.stdout}).on('line', onLine);
    // Not spawn's own: that one goes on, and keeps Node alive, after a failed start.
    const timer = timeoutMs && setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    child.on('error', error => {
      clearTimeout(timer);
      resolve({ok: false, failure: startFailure(command, error), stdout, stderr});
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const failure = describeEnd(code, signal);
      resolve({ok: failure === undefined, failure, stdout, stderr});
    });
  });
}

/** How a process ended, or undefined if it ended well. */
export function describeEnd(
  code: number | null,
  signal: NodeJS.Signals | null,
): string | undefined {
  if (signal) return `was ended by ${signal}`;
  return code === 0 ? undefined : `ended with exit code ${code}`;
}

function startFailure(command: string, error: NodeJS.ErrnoException): string {
  return error.code === 'ENOENT' ? `${command} was not found` : error.message;
}
