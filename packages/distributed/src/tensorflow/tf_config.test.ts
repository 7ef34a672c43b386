import {parseTfConfig} from './tf_config';

const worker = ['10.0.0.1:2222', '10.0.0.2:2223'];

function parse(cluster: unknown, task: unknown) {
  return parseTfConfig(JSON.stringify({cluster, task}));
}

it('gives the ranks in the order of the workers', () => {
  expect(parse({worker}, {type: 'worker', index: 1})).toEqual({
    addresses: worker,
    rank: 1,
  });
});

it('has the chief first', () => {
  const cluster = {worker, chief: ['[fd00::1]:2222']};
  expect(parse(cluster, {type: 'chief', index: 0})).toEqual({
    addresses: ['[fd00::1]:2222', ...worker],
    rank: 0,
  });
  expect(parse(cluster, {type: 'worker', index: 1}).rank).toBe(2);
});

it.each([
  ['', 'TF_CONFIG must be a JSON object. Received: '],
  ['[1]', 'TF_CONFIG must be a JSON object. Received: [1]'],
  [
    '{}',
    'TF_CONFIG: cluster must be an object of lists of addresses. Received: undefined',
  ],
])('refuses %j', (text, message) => {
  expect(() => parseTfConfig(text)).toThrow(message);
});

const task = {type: 'worker', index: 0};

it.each([
  [{worker, ps: ['a:1']}, task, 'and no other type. Received: "ps"'],
  [
    {worker: 'a:1'},
    task,
    'cluster.worker must be a list of addresses host:port. Received: "a:1"',
  ],
  [{worker: ['a']}, task, 'Received: ["a"]'],
  [{worker: ['a:0']}, task, 'Received: ["a:0"]'],
  [{worker: ['a:70000']}, task, 'Received: ["a:70000"]'],
  [{worker: ['a,b:1']}, task, 'Received: ["a,b:1"]'],
  [{worker: [1]}, task, 'Received: [1]'],
  [{worker, chief: ['a:1', 'b:1']}, task, 'cluster.chief must be one address'],
  [{worker: []}, task, 'cluster must name a worker. Received: {"worker":[]}'],
  [{worker: ['a:1', 'a:1']}, task, 'must be another one. Received: ["a:1","a:1"]'],
  [{worker}, undefined, 'task must be an object of type and index. Received: undefined'],
  [{worker}, {type: 'evaluator', index: 0}, 'chief or worker. Received: "evaluator"'],
  [{worker}, {type: 'chief', index: 0}, 'one of 0 in cluster.chief. Received: 0'],
  [{worker}, {type: 'worker', index: 2}, 'one of 2 in cluster.worker. Received: 2'],
  [{worker}, {type: 'worker', index: '0'}, 'one of 2 in cluster.worker. Received: "0"'],
  [{worker}, {type: 'worker', index: -1}, 'Received: -1'],
])('refuses %j with %j', (cluster, own, message) => {
  expect(() => parse(cluster, own)).toThrow(message);
});
