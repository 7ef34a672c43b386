import {fork} from 'node:child_process';
import {join} from 'node:path';

import {packageDirectory} from '../package_directory.cjs';
import type {ProbeReply, ProbeRequest} from './probe.js';
import {describeEnd} from './run_process.js';
import {parseTensorFlowLog, type TensorFlowLog} from './tensorflow_log.js';

export type ProbeResult = ProbeReply & {log: TensorFlowLog};

// The first use of a GPU compiles code for it, which can take a minute.
const timeoutMs = 180_000;

/** Tries tfjs-node in a process of its own. Never rejects. */
export function runProbe(request: ProbeRequest): Promise<ProbeResult> {
  return new Promise(resolve => {
    const child = fork(join(packageDirectory, 'dist', 'probe.js'), {
      silent: true,
      execArgv: [],
      timeout: timeoutMs,
      env: {
        ...process.env,
        // Its log is the only place where TensorFlow names the libraries it did not find.
        TF_CPP_MIN_LOG_LEVEL: '0',
        TF_CPP_VMODULE: 'dso_loader=1',
      },
    });
    let reply: ProbeReply | undefined;
    let stderr = '';
    child.stdout!.resume();
    child.stderr!.setEncoding('utf8').on('data', text => (stderr += text));
    child.on('message', message => (reply = message as ProbeReply));
    child.on('error', error => (reply ??= {ok: false, reason: error.message}));
    child.on('close', (code, signal) => {
      resolve({...(reply ?? crash(code, signal)), log: parseTensorFlowLog(stderr)});
    });
    child.send(request);
  });
}

function crash(code: number | null, signal: NodeJS.Signals | null): ProbeReply {
  const reason = `the process that loaded it ${describeEnd(code, signal) ?? 'said nothing'}`;
  return {ok: false, reason};
}
