import {connect, hasOtherReplicas} from './connect';

const environment = process.env;
beforeEach(() => (process.env = {...environment}));
afterAll(() => (process.env = environment));

it.each([
  [{timeoutSeconds: 0}, 'timeoutSeconds must be a number over 0. Received: 0'],
  [{timeoutSeconds: NaN}, 'timeoutSeconds must be a number over 0. Received: NaN'],
  [{weight: -1}, 'weight must be a number from 0. Received: -1'],
  [{weight: Infinity}, 'weight must be a number from 0. Received: Infinity'],
])('refuses %j', async (options, message) => {
  await expect(connect(options)).rejects.toThrow(message);
});

it('tells whether there are others', () => {
  delete process.env.TF_CONFIG;
  expect(hasOtherReplicas()).toBe(false);
  process.env.TF_CONFIG = '{}';
  expect(hasOtherReplicas()).toBe(true);
});

it('refuses two engines at once', async () => {
  Object.assign(process.env, {PMI_RANK: '0', PMI_SIZE: '2', TF_CONFIG: '{}'});
  await expect(connect()).rejects.toThrow(
    'mpirun started this process, and TF_CONFIG is set: one of them must go',
  );
});
