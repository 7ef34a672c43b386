import {explainPipFailure, pipStage} from './pip_output.js';

const explain = (output: string) =>
  explainPipFailure(output, 'tensorflow-cpu==2.20.0', '3.11.7', '/cache');

describe('explainPipFailure', () => {
  it('lists the versions that there are', () => {
    const error = explain(
      'ERROR: Could not find a version that satisfies the requirement ' +
        'tensorflow-cpu==9.9 (from versions: 2.19.0, 2.20.0rc0, 2.20.0, 2.21.0)\n' +
        'ERROR: No matching distribution found for tensorflow-cpu==9.9',
    );
    expect(error.problem).toMatch(/no such version for Python 3\.11\.7/);
    expect(error.remedy).toMatch(/--tensorflow: 2\.19\.0, 2\.20\.0, 2\.21\.0\./);
  });

  it('tells a Python without a build from a version that does not exist', () => {
    const error = explain(
      'ERROR: Could not find a version that satisfies the requirement ' +
        'tensorflow-cpu==2.20.0 (from versions: none)',
    );
    expect(error.problem).toMatch(/finds no build of it for Python 3\.11\.7/);
    expect(error.remedy).toMatch(/--python/);
  });

  it('names the network, though pip then speaks of a missing version too', () => {
    const error = explain(
      "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(" +
        "'Failed to establish a new connection: [Errno -2] Name or service not known')'\n" +
        'ERROR: Could not find a version that satisfies the requirement ' +
        'tensorflow-cpu==2.20.0 (from versions: none)',
    );
    expect(error.problem).toMatch(/does not answer \(NewConnectionError\)/);
    expect(error.remedy).toMatch(/HTTPS_PROXY/);
  });

  it('names the disk', () => {
    const error = explain(
      'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device',
    );
    expect(error.problem).toMatch(/no space is left/);
    expect(error.remedy).toMatch(/\/cache.*TMPDIR/);
  });

  it('passes on the last error of any other kind', () => {
    expect(explain('Collecting x\nERROR: first\nERROR: last\n').problem).toBe(
      'pip could not install tensorflow-cpu==2.20.0: ERROR: last',
    );
  });
});

describe('pipStage', () => {
  it.each([
    [
      '  Downloading tensorflow_cpu-2.20.0-cp311-cp311-linux.whl (258.9 MB)',
      'downloading tensorflow_cpu-2.20.0-cp311-cp311-linux.whl (258.9 MB)',
    ],
    [
      '  Using cached six-1.17.0-py2.py3-none-any.whl (11 kB)',
      "taking six-1.17.0-py2.py3-none-any.whl from pip's cache",
    ],
    ['Installing collected packages: a, b, c', 'unpacking 3 packages'],
    ['Collecting numpy', undefined],
  ])('%s', (line, stage) => expect(pipStage(line)).toBe(stage));
});
