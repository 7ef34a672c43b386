import {samplesOf} from './callback_times.js';

// The first step is left out, as is the last.
const idle = {
  stepStarts: [0, 50, 150, 250, 260],
  hooks: {
    UpdateOpsCheck: {steps: [9, 1, 1, 1, 8], epochEnds: [7]},
    ProgressBar: {steps: [9, 2, 4, 3, 8], epochEnds: [7]},
  },
  eventLoop: {steps: [9, 5, 7, 6, 8], epochEnds: [0]},
};
// One epoch of two steps is left out.
const due = {
  hooks: {
    UpdateOpsCheck: {steps: [99, 99, 1, 1, 1, 1], epochEnds: [99, 20, 40]},
    ProgressBar: {steps: [99, 99, 10, 20, 20, 30], epochEnds: [99, 1, 1]},
  },
};

const medians = (samples: object) =>
  JSON.parse(JSON.stringify(samples), (_, value) => value?.median ?? value);

it('takes the medians of what is due, what is not, and of the steps less the hooks', () => {
  const samples = samplesOf(idle, due, {
    firstIdleStep: 1,
    firstDueStep: 2,
    firstEpoch: 1,
  });
  expect(medians(samples)).toEqual({
    // Of 100 - 3, 100 - 5 and 10 - 4.
    step: 95,
    hooks: {
      UpdateOpsCheck: {idleStep: 1, epochEnd: 30},
      ProgressBar: {idleStep: 3, dueStep: 20, epochEnd: 1},
      all: {idleStep: 4, dueStep: 21, epochEnd: 31},
    },
    eventLoop: 6,
  });
  expect(samples.step.repetitions).toBe(3);
  expect(samples.hooks.all.dueStep!.repetitions).toBe(4);
});
