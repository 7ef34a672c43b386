/** The process that answers the requests on a backend in Node. */
import {timeCallbacks} from './callback_times.js';
import {makeHandlers} from './handlers.js';
import {prepareStep} from './step_task.js';
import {measurePeak} from './peak.js';
import {openBackend} from './open_backend.js';
import {replyTo, type RequestName} from './requests.js';

const handlers = makeHandlers({
  open: openBackend,
  networks: {prepare: prepareStep, peak: measurePeak, callbacks: timeCallbacks},
});

process.on('message', async ({name, args}: {name: RequestName; args: unknown}) => {
  process.send!(await replyTo(handlers, name, args));
});
// The parent has gone, or is done. Dawn would keep the process alive.
process.once('disconnect', () => process.exit());
