import {checkFitness, findPython, whyUnfit} from './python.js';
import {defaultTensorFlowVersion} from './tensorflow_installation.js';

const python = (version: string, hasVenv = true) => ({
  command: 'python3',
  executable: '/usr/bin/python3',
  version,
  hasVenv,
});

describe('whyUnfit', () => {
  it.each([
    ['3.9.0', undefined],
    ['3.13.9', undefined],
    ['3.8.10', /Python 3\.8\.10 \(python3\) is too old: .* needs 3\.9 or newer/],
    ['3.14.0', /too new: .* needs 3\.13 or older/],
  ])('%s', (version, reason) => {
    const actual = whyUnfit(python(version), defaultTensorFlowVersion);
    if (reason) expect(actual).toMatch(reason);
    else expect(actual).toBeUndefined();
  });

  it('leaves it to pip which new Python another TensorFlow supports', () => {
    expect(whyUnfit(python('3.14.0'), '2.99.0')).toBeUndefined();
  });

  it('wants the venv module', () => {
    expect(() => checkFitness(python('3.11.2', false), defaultTensorFlowVersion)).toThrow(
      /has no venv module\. .*apt install python3-venv/,
    );
  });
});

describe('findPython', () => {
  it('refuses a --python that is none', async () => {
    await expect(findPython('/nowhere/python', '2.20.0')).rejects.toThrow(
      /\/nowhere\/python is no Python 3\./,
    );
  });
});
