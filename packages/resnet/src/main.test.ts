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
      'update check': '9 layers × 6 steps = 54 updates run',
      'saved to and reloaded from': join('out', 'model.json'),
      "reloaded model's predictions": 'largest difference 0',
    });
    expect(await readdir(join(directory, 'out'))).toHaveLength(2);
  });

  it.each(['builtin', 'none'])('trains with --norm %s', async norm => {
    const {code, stdout, stderr} = await run(...quick, '--epochs', '1', '--norm', norm);
    expect({code, stderr}).toEqual({code: 0, stderr: ''});
    expect(tableOf(stdout)['update check']).toBe(
      norm === 'none' ? undefined : '9 layers × 3 steps = 27 updates run',
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
    expect(tableOf(stdout)['update check']).toBe('9 layers × 1 steps = 9 updates run');
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
