import {programEnvironment} from './run_program.js';

describe('programEnvironment', () => {
  it('puts the CUDA libraries in front and leaves the rest', () => {
    const env = programEnvironment({HOME: '/home', LD_LIBRARY_PATH: '/mine'}, [
      '/cuda/lib',
    ]);
    expect(env).toEqual({HOME: '/home', LD_LIBRARY_PATH: '/cuda/lib:/mine'});
  });

  it('changes nothing where there are no CUDA libraries', () => {
    expect(programEnvironment({HOME: '/home'}, [])).toEqual({HOME: '/home'});
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
