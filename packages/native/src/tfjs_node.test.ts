import {mkdirSync, writeFileSync} from 'node:fs';
import {dirname} from 'node:path';

import {FakeProject} from '../test/fake_project';
import {loadTensorFlow} from './load_tensorflow.js';
import {findTfjsNode, napiVersion, requireTfjsNode} from './tfjs_node.js';

describe('findTfjsNode', () => {
  let project: FakeProject;
  beforeEach(() => {
    project = new FakeProject();
  });
  afterEach(() => project.remove());

  it('describes what the project has', () => {
    expect(findTfjsNode([project.directory])).toMatchObject({
      name: '@tensorflow/tfjs-node-gpu',
      version: '4.22.0',
      addonFile: project.addonFile,
    });
  });

  it('takes the first directory that has any', () => {
    const found = findTfjsNode(['/nowhere', project.directory]);
    expect(found?.directory).toBe(project.package);
    expect(findTfjsNode(['/nowhere'])).toBeUndefined();
    expect(() => requireTfjsNode(['/nowhere'])).toThrow(
      /installed where \/nowhere would find it\. Run `npm install --ignore-scripts/,
    );
  });

  describe('loadTensorFlow', () => {
    const {TF_ENABLE_ONEDNN_OPTS} = process.env;
    beforeEach(() => delete process.env.TF_ENABLE_ONEDNN_OPTS);
    afterAll(() => {
      if (TF_ENABLE_ONEDNN_OPTS === undefined) delete process.env.TF_ENABLE_ONEDNN_OPTS;
      else process.env.TF_ENABLE_ONEDNN_OPTS = TF_ENABLE_ONEDNN_OPTS;
    });

    it('names setup where the addon is missing', async () => {
      await expect(loadTensorFlow()).rejects.toThrow(
        /has no native addon\. Run `npx resbatchnorm-native setup`\./,
      );
    });

    it('names the setup for a GPU where one is asked for', async () => {
      await expect(loadTensorFlow({gpu: 'require'})).rejects.toThrow(
        /has no native addon\. Run `npx resbatchnorm-native setup --gpu`\./,
      );
    });

    it('names setup where the addon does not load', async () => {
      install('garbage');
      await expect(loadTensorFlow()).rejects.toThrow(
        /does not load: no addon at all\. Run `npx resbatchnorm-native setup`/,
      );
    });

    it('tells the version, the device, and whether oneDNN is on', async () => {
      install('addon');
      await expect(loadTensorFlow()).resolves.toEqual({
        packageName: '@tensorflow/tfjs-node-gpu',
        version: '2.20.0',
        usesGpu: false,
        usesOneDnn: true,
      });
    });

    it('leaves oneDNN off for who switched it off', async () => {
      install('addon');
      process.env.TF_ENABLE_ONEDNN_OPTS = '0';
      await expect(loadTensorFlow()).resolves.toMatchObject({usesOneDnn: false});
    });

    it('fails where a GPU is required and none is used', async () => {
      install('addon');
      await expect(loadTensorFlow({gpu: 'require'})).rejects.toThrow(
        /^TensorFlow uses no GPU\. /,
      );
    });

    function install(content: string): void {
      mkdirSync(dirname(project.addonFile), {recursive: true});
      writeFileSync(project.addonFile, content);
    }
  });
});

it('napiVersion takes the newest that both know', () => {
  expect(napiVersion([3, 4, 8], 9)).toBe(8);
  expect(napiVersion([3, 4, 8], 7)).toBe(4);
});
