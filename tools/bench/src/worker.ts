/** The process that answers the requests on a backend in Node. */
import {type BackendName, openBackend} from '@resbatchnorm/tools-common/backends';

import {timeCallbacks} from './callback_times.js';
import {makeHandlers} from './handlers.js';
import {type OpenArgs, type Opened, replyTo, type RequestName} from './requests.js';
import {measurePeak, prepareStep} from './training_step.js';

const handlers = makeHandlers({
  open,
  networks: {prepare: prepareStep, peak: measurePeak, callbacks: timeCallbacks},
});

async function open({backend, forNetworks}: OpenArgs): Promise<Opened> {
  const {device, versions, threads, usesOneDnn} = await openBackend(
    backend as BackendName,
    {trainingKernels: forNetworks === true},
  );
  const note = `${threads} thread${threads === 1 ? '' : 's'}`;
  const notes = backend === 'wasm' ? [`${note}, as tfjs runs wasm in Node`] : [note];
  return {device, versions, usesOneDnn, notes: threads === undefined ? [] : notes};
}

process.on('message', async ({name, args}: {name: RequestName; args: unknown}) => {
  process.send!(await replyTo(handlers, name, args));
});
// The parent has gone, or is done. Dawn would keep the process alive.
process.once('disconnect', () => process.exit());
