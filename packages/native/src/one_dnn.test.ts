import {isOneDnnOn, switchOneDnnOn} from './one_dnn.js';

describe('switchOneDnnOn', () => {
  it('switches oneDNN on', () => {
    const env: NodeJS.ProcessEnv = {};
    expect(isOneDnnOn(env)).toBe(false);
    switchOneDnnOn(env);
    expect(env).toEqual({TF_ENABLE_ONEDNN_OPTS: '1'});
    expect(isOneDnnOn(env)).toBe(true);
  });

  it.each(['0', 'false', 'TRUE', '1'])('leaves what the user has set: %s', value => {
    const env = {TF_ENABLE_ONEDNN_OPTS: value};
    switchOneDnnOn(env);
    expect(env).toEqual({TF_ENABLE_ONEDNN_OPTS: value});
    expect(isOneDnnOn(env)).toBe(value === 'TRUE' || value === '1');
  });
});
