/* global setInterval */
// Stands in for the worker: does what `job.api` says.
const check = {group: 'g', name: 'n', measured: 0, relation: '≤', limit: 1, passed: true};
const device = {name: 'a device', isSoftware: false, versions: {}};

process.once('message', ({api}) => {
  console.log('written to stdout');
  console.error('written to stderr');
  process.send({type: 'opened', device, notMeasured: ['memory']});
  process.send({type: 'stage', text: 'checking'});
  process.send({type: 'checks', checks: [check]}, () => endings[api]());
});

const sendAndExit = (message, code) => process.send(message, () => process.exit(code));

const endings = {
  done: () => sendAndExit({type: 'done'}, 0),
  'done, and crashes after that': () => sendAndExit({type: 'done'}, 9),
  exits: () => process.exit(7),
  'is killed': () => process.kill(process.pid, 'SIGSEGV'),
  hangs: () => setInterval(() => {}, 1000),
  fails: () => sendAndExit({type: 'failed', reason: 'A reason.'}, 0),
  'is absent': () => sendAndExit({type: 'absent', reason: 'No GPU.'}, 0),
};
