/** The built program, as a user runs it: `npm test` builds it first. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync} from 'node:fs';
import {mkdir, mkdtemp, readdir, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

const program = join(__dirname, '../dist/main.js');
if (!existsSync(program)) throw new Error(`Run \`npm run build\` first: no ${program}`);

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'resnet-'));
});

afterEach(() => rm(directory, {recursive: true}));

interface Result {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

function start(args: string[]): {child: ChildProcess; result: Promise<Result>} {
  const child = spawn(process.execPath, [program, ...args], {cwd: directory});
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', data => (stdout += data));
  child.stderr.on('data', data => (stderr += data));
  const result = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
    stdout,
    stderr,
  }));
  return {child, result};
}

const run = (...args: string[]) => start(args).result;

/** The cells of the table, by the label of their row. */
function tableOf(stdout: string): Record<string, string> {
  const rows = stdout.split('\n').filter(line => line.startsWith('│'));
  return Object.fromEntries(
    rows.map(row =>
      row
        .split('│')
        .slice(1, 3)
        .map(cell => cell.trim()),
    ),
  );
}

const quick = ['--backend', 'wasm', '--limit', '48', '--batch-size', '16'];

describe('npm start', () => {
  it('shows its options', async () => {
    const {code, stdout, stderr} = await run('--help');
    expect({code, stderr}).toEqual({code: 0, stderr: ''});
    for (const option of ['dataset', 'data', 'depth', 'norm', 'backend', 'out', 'seed']) {
      expect(stdout).toContain(`--${option} <`);
    }
  });

  it('trains, saves, loads and tests', async () => {
    const {code, stdout, stderr} = await run(...quick, '--epochs', '2');
    expect({code, stderr}).toEqual({code: 0, stderr: ''});
    expect(stdout).toContain('backend wasm, seed 1');
    expect(stdout.match(/^epoch [12]\/2 {2}48\/48 {2}loss \d/gm)).toHaveLength(2);
    expect(tableOf(stdout)).toMatchObject({
      'training accuracy, last epoch': expect.stringMatching(/ %$/),
      'test accuracy, with the moving statistics': expect.stringMatching(/ %$/),
      'update check': '9 layers × 6 steps = 54 updates run, 0 skipped as non-finite',
      'saved to and reloaded from': join('out', 'model.json'),
      "reloaded model's predictions": 'largest difference 0',
    });
    expect(await readdir(join(directory, 'out'))).toHaveLength(2);
  });

  it.each(['builtin', 'none'])('trains with --norm %s', async norm => {
    const {code, stdout, stderr} = await run(...quick, '--epochs', '1', '--norm', norm);
    expect({code, stderr}).toEqual({code: 0, stderr: ''});
    expect(tableOf(stdout)['update check']).toBe(
      norm === 'none'
        ? undefined
        : '9 layers × 3 steps = 27 updates run, 0 skipped as non-finite',
    );
  });

  it('trains on files in the format of CIFAR-10', async () => {
    const data = join(directory, 'cifar10');
    await mkdir(data);
    for (const name of [1, 2, 3, 4, 5].map(i => `data_batch_${i}`).concat('test_batch')) {
      const records = Buffer.alloc(4 * 3073);
      records.forEach(
        (_, i) => (records[i] = i % 3073 === 0 ? i % 10 : (i * 7919) % 251),
      );
      await writeFile(join(data, `${name}.bin`), records);
    }
    const {code, stdout, stderr} = await run(
      ...['--backend', 'wasm', '--dataset', 'cifar10', '--data', data, '--epochs', '1'],
    );
    expect({code, stderr}).toEqual({code: 0, stderr: ''});
    expect(stdout).toContain('CIFAR-10: 20 to train, 4 to test');
    expect(tableOf(stdout)['update check']).toBe(
      '9 layers × 1 step = 9 updates run, 0 skipped as non-finite',
    );
  });
});

describe('--tensorboard and --check-gap', () => {
  it('write event files and the gap', async () => {
    const {code, stdout} = await run(
      ...[...quick, '--epochs', '1', '--tensorboard', 'logs', '--check-gap'],
    );
    expect(code).toBe(0);
    expect(tableOf(stdout)['training → inference mode']).toMatch(
      /^accuracy [\d.]+ % → [\d.]+ %, loss [\d.]+ → [\d.]+ \(\d+ images\)$/,
    );
    const [events] = await readdir(join(directory, 'logs', 'train'));
    expect(events).toMatch(/^events\.out\.tfevents\./);
  });
});

describe('--checkpoint and --resume', () => {
  const options = [...quick, '--epochs', '3'];
  /** The weight file's name is made of its content. */
  const weightsIn = async (out: string) =>
    (await readdir(join(directory, out))).find(file => file.startsWith('weights'));

  it('go on after SIGKILL as if it had never been', async () => {
    await run(...options, '--out', 'whole');
    const {child, result} = start([...options, '--checkpoint', 'checkpoints']);
    await new Promise<void>(resolve => {
      child.stdout!.on('data', data => String(data).includes('epoch 1/') && resolve());
    });
    child.kill('SIGKILL');
    expect((await result).signal).toBe('SIGKILL');

    const refused = await run(...options, '--checkpoint', 'checkpoints');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toBe(
      'error: --checkpoint checkpoints holds checkpoints: go on from them with --resume, ' +
        'or name another folder.\n',
    );
    const resuming = [...options, '--checkpoint', 'checkpoints', '--resume'];
    const other = await run(...resuming, '--seed', '7');
    expect(other.code).toBe(2);
    expect(other.stderr).toBe(
      'error: --resume: --seed must be that of the checkpoint, 1. Received: 7.\n',
    );

    const {code, stdout} = await run(...resuming, '--out', 'resumed');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^resuming \S+checkpoint-00000001, after step 3$/m);
    expect(await weightsIn('resumed')).toBe(await weightsIn('whole'));
  });

  it('go on after Ctrl-C in the middle of an epoch as if it had never been', async () => {
    // 24 steps an epoch.
    const lasting = [...quick, '--batch-size', '2', '--epochs', '4'];
    await run(...lasting, '--out', 'uninterrupted');
    const interruptible = [...lasting, '--checkpoint', 'interrupted'];
    const {child, result} = start(interruptible);
    await new Promise<void>(resolve => {
      child.stdout!.on('data', data => String(data).includes('epoch 1/') && resolve());
    });
    child.kill('SIGINT');
    expect((await result).code).toBe(130);

    const {code, stdout} = await run(...interruptible, '--resume', '--out', 'continued');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^resuming \S+, after step \d+$/m);
    expect(await weightsIn('continued')).toBe(await weightsIn('uninterrupted'));
  });
});

describe('a wrong command line', () => {
  async function usageError(...args: string[]): Promise<string> {
    const {code, stdout, stderr} = await run(...args);
    expect({code, stdout}).toEqual({code: 2, stdout: ''});
    expect(stderr).toMatch(/^error: .+\n$/); // One line.
    return stderr;
  }

  it('is a wrong option', async () => {
    expect(await usageError('--depth', '9')).toContain('--depth');
  });

  it('is --resume without anything to resume', async () => {
    expect(await usageError(...quick, '--resume')).toContain(
      '--resume needs --checkpoint',
    );
    expect(await usageError(...quick, '--resume', '--checkpoint', 'none')).toBe(
      'error: --resume: there is no checkpoint in none. Begin without --resume.\n',
    );
  });

  it('is a watch on batch norms that are not there', async () => {
    expect(await usageError('--norm', 'none', '--check-gap')).toContain(
      '--check-gap watches batch norms; --norm none has none.',
    );
  });

  it('is a missing data file', async () => {
    expect(await usageError('--dataset', 'cifar10', '--data', '.')).toContain(
      "Cannot read CIFAR-10's data_batch_1.bin: no such file or directory",
    );
  });

  it('is an --out that is a file, or lies in one', async () => {
    await writeFile(join(directory, 'file'), '');
    expect(await usageError(...quick, '--out', 'file')).toMatch(
      /Cannot write to --out file: file already exists/,
    );
    expect(await usageError(...quick, '--out', 'file/out')).toMatch(
      /Cannot write to --out file\/out: not a directory/,
    );
  });
});

describe('Ctrl-C', () => {
  it('saves the model as it is, and says where', async () => {
    const {child, result} = start([...quick, '--epochs', '100000']);
    await new Promise<void>(resolve => {
      child.stdout!.on('data', data => String(data).includes('epoch 1/') && resolve());
    });
    child.kill('SIGINT');
    child.kill('SIGINT'); // The echo of the first one, as npm sends it.
    const {code, stdout, stderr} = await result;
    expect(code).toBe(130);
    expect(stderr).toContain('Stopping after this step. Ctrl-C again stops at once.');
    expect(stdout).toMatch(
      /interrupted: the model as it is now is saved in out.model\.json\n$/,
    );
    expect(await readdir(join(directory, 'out'))).toHaveLength(2);
  });
});
