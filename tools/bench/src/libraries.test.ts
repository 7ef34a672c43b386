import {AbsentError} from '@resbatchnorm/tools-common/device';

import {Libraries, openLibrary} from './libraries.js';
import type {Channel} from './requests.js';

/** Channels by Python: those that open, and those that tell why not. */
function fakePythons(outcomes: Record<string, Error | 'opens'>) {
  const closed: string[] = [];
  const open = (python: string): Channel => ({
    async ask() {
      const outcome = outcomes[python];
      if (outcome instanceof Error) throw outcome;
      return {device: {kind: 'cpu', name: ''}, versions: {python}, notes: []} as never;
    },
    async close() {
      closed.push(python);
    },
  });
  return {open, closed};
}

it('takes the first Python that has the library, and closes those before', async () => {
  const {open, closed} = fakePythons({
    a: new AbsentError("No module named 'torch'"),
    b: 'opens',
    c: 'opens',
  });
  const library = await openLibrary('PyTorch', 'cpu', ['a', 'b', 'c'], open);
  expect(library.opened.versions).toEqual({python: 'b'});
  expect(closed).toEqual(['a']);
});

it('says of each why it has not, and how to get the library', async () => {
  const {open, closed} = fakePythons({
    a: new AbsentError("No module named 'torch'"),
    b: new Error('PyTorch, run by b, did not start (ENOENT).'),
  });
  await expect(openLibrary('PyTorch', 'cpu', ['a', 'b'], open)).rejects.toThrow(
    "a: No module named 'torch'; PyTorch, run by b, did not start (ENOENT). Install it " +
      '(`pip install torch`), or name a Python that has it with --python.',
  );
  expect(closed).toEqual(['a', 'b']);
});

it('tells whether oneDNN was on in those that can do without it', async () => {
  const uses = {Keras: true, PyTorch: undefined};
  const libraries = new Libraries(['a'], async library => ({
    library,
    opened: {
      device: {kind: 'cpu', name: ''},
      versions: {},
      notes: [],
      usesOneDnn: uses[library],
    },
    ask: async () => ({}) as never,
    close: async () => {},
  }));
  expect(await libraries.usesOneDnn()).toStrictEqual({});
  await libraries.on('cpu');
  expect(await libraries.usesOneDnn()).toStrictEqual({Keras: true});
});
