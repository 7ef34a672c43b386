/** What Jest's own packages find as global variables in Node. The tests do not see them. */
export const process = {
  env: {},
  platform: 'browser',
  versions: {},
  cwd: () => '/',
};

export const __dirname = '/';
