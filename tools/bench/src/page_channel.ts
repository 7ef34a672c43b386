/** A page of headless Chromium that measures on webgl or webgpu. */
import {join} from 'node:path';

import {bundle, openChromium} from '@resbatchnorm/testing/chromium';

import {packageDirectory} from '../package_directory.cjs';
import {
  AbsentError,
  answerOf,
  type Channel,
  type Opened,
  type Reply,
} from './requests.js';

/** @throws AbsentError if there is no Chromium. */
export async function openPageChannel(): Promise<Channel> {
  const files = await bundle({
    entries: {bench: join(packageDirectory, 'dist', 'page.js')},
  });
  const chromium = await openChromium(files).catch(throwAbsent);
  const page = await chromium.openPage();
  return {
    async ask(name, args) {
      const request = [name, args].map(value => JSON.stringify(value)).join(', ');
      const reply: Reply = await page.evaluate(
        `import('/bench.js').then(({reply}) => reply(${request}))`,
      );
      const answer = answerOf(reply);
      if (name === 'open') (answer as Opened).versions.Chromium = chromium.version;
      return answer as never;
    },
    close: () => chromium.close(),
  };
}

function throwAbsent(error: unknown): never {
  throw error instanceof Error && error.name === 'ChromiumError'
    ? new AbsentError(error.message)
    : error;
}
