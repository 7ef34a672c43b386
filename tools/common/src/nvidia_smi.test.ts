import {readRows, readUsedMemory, usedMemory} from './nvidia_smi.js';

const gpus = readRows('20121\n3\n');

describe('readUsedMemory', () => {
  it('takes the memory of the process', () => {
    const apps = readRows('4711, 512\n4712, 1536\n');
    expect(readUsedMemory(apps, gpus, 4712)).toEqual({mebibytes: 1536, of: 'process'});
  });

  it('adds up what it uses of several GPUs', () => {
    const apps = readRows('4712, 1536\n4711, 512\n4712, 10\n');
    expect(readUsedMemory(apps, gpus, 4712)).toEqual({mebibytes: 1546, of: 'process'});
  });

  it.each(['', '1, 512\n', '4712, [N/A]\n'])(
    'takes that of all GPUs where that of the process is not told: %j',
    apps => {
      expect(readUsedMemory(readRows(apps), gpus, 4712)).toEqual({
        mebibytes: 20124,
        of: 'GPU',
      });
    },
  );

  it('is undefined where neither is told', () => {
    expect(readUsedMemory([], readRows('[N/A]\n'), 4712)).toBeUndefined();
    expect(readUsedMemory([], [], 4712)).toBeUndefined();
  });
});

describe('usedMemory', () => {
  const path = process.env.PATH;

  afterEach(() => {
    process.env.PATH = path;
  });

  it('is undefined without nvidia-smi', async () => {
    process.env.PATH = '';
    expect(await usedMemory()).toBeUndefined();
  });
});
