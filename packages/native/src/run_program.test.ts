import {programEnvironment} from './run_program.js';

describe('programEnvironment', () => {
  it('puts the CUDA libraries in front and leaves the rest', () => {
    const env = programEnvironment({HOME: '/home', LD_LIBRARY_PATH: '/mine'}, [
      '/cuda/lib',
    ]);
    expect(env).toMatchObject({HOME: '/home', LD_LIBRARY_PATH: '/cuda/lib:/mine'});
  });

  it('switches oneDNN on, and changes nothing else where there are no CUDA libraries', () => {
    const env = programEnvironment({HOME: '/home'}, []);
    expect(env).toEqual({HOME: '/home', TF_ENABLE_ONEDNN_OPTS: '1'});
  });

  it('leaves oneDNN off for who switched it off', () => {
    const env = programEnvironment({TF_ENABLE_ONEDNN_OPTS: '0'}, []);
    expect(env).toEqual({TF_ENABLE_ONEDNN_OPTS: '0'});
  });

  it('has Node load the cure, along with what it loads already', () => {
    const env = programEnvironment(
      {NODE_OPTIONS: '--enable-source-maps'},
      [],
      '/a b/r.js',
    );
    expect(env.NODE_OPTIONS).toBe('--enable-source-maps --import=file:///a%20b/r.js');
  });
});
