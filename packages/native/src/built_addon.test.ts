import {mkdirSync, writeFileSync} from 'node:fs';
import {dirname} from 'node:path';

import {FakeProject} from '../test/fake_project';
import {additionsSha256} from './addon_build.js';
import {builtAddonFile} from './built_addon.js';
import {writeSetupRecord} from './setup_record.js';

const record = {
  python: 'python3',
  tensorflowVersion: '2.20.0',
  tensorflowDirectory: '/site/tensorflow',
  device: 'cpu' as const,
  tfjsNodeVersion: '4.22.0',
};

let project: FakeProject;
beforeEach(() => {
  project = new FakeProject();
});
afterEach(() => project.remove());

function addAddon(): void {
  mkdirSync(dirname(project.addonFile), {recursive: true});
  writeFileSync(project.addonFile, 'addon');
}

it('is the addon that setup built, for which the process is ready', async () => {
  addAddon();
  await writeSetupRecord(project.addonFile, {
    ...record,
    additionsSha256: additionsSha256(),
  });
  delete process.env.TF_CPP_MIN_LOG_LEVEL;
  expect(builtAddonFile()).toBe(project.addonFile);
  expect(process.env.TF_CPP_MIN_LOG_LEVEL).toBe('1');
});

it('refuses what setup did not build', async () => {
  expect(builtAddonFile).toThrow(/tfjs-node-gpu has no native addon. Run `npx resb/);
  addAddon();
  expect(builtAddonFile).toThrow(/is not one that setup built. Run `npx resb/);
  await writeSetupRecord(project.addonFile, {...record, additionsSha256: 'before'});
  expect(builtAddonFile).toThrow(/by another version of @resbatchnorm\/native. Run `npx/);
});
