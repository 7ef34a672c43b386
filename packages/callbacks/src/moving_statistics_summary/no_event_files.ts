/** What a bundle for the browser has in the place of event_files.ts and its libraries. */
import {ValueError} from '../errors.js';

export class EventFiles {
  constructor() {
    throw new ValueError(
      'MovingStatisticsSummary: event files need the file system, which a browser does not ' +
        'give. Pass a SummarySeries in the place of the folder',
    );
  }
}
