// The backends that the tests run on, which of them this machine has, and a reporter that names
// those that it lacks.
import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';

import {findChromium} from '@resbatchnorm/testing/chromium';

const require = createRequire(import.meta.url);

/** Where Debian's chromium keeps SwiftShader, a Vulkan driver that needs no GPU. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** The environment variables that lead to a Vulkan driver; null if none is known. */
export function vulkanDriver() {
  if (process.env.VK_DRIVER_FILES) return {};
  if (!existsSync(SWIFTSHADER)) return null;
  return {VK_DRIVER_FILES: SWIFTSHADER, VK_ICD_FILENAMES: SWIFTSHADER};
}

function resolves(module) {
  try {
    require.resolve(module);
    return true;
  } catch {
    return false;
  }
}

/** The native addon of tfjs-node-gpu, which is there once it was set up. */
function tensorflowAddon() {
  const manifest = require.resolve('@tensorflow/tfjs-node-gpu/package.json');
  return path.join(path.dirname(manifest), 'lib', 'napi-v8', 'tfjs_binding.node');
}

const inNode = [
  {name: 'cpu', absence: null},
  {name: 'wasm', absence: null},
  {
    name: 'tensorflow',
    absence: existsSync(tensorflowAddon())
      ? null
      : 'tfjs-node-gpu has no addon: run `npx resbatchnorm-native setup`',
  },
  {
    name: 'webgpu',
    absence:
      vulkanDriver() === null
        ? 'no Vulkan driver: install chromium, whose SwiftShader is one, or set VK_DRIVER_FILES'
        : resolves('webgpu')
          ? null
          : 'the npm package webgpu is not installed',
  },
];

const chromiumAbsence =
  findChromium() === null
    ? 'no chromium: install it, or name one in the environment variable CHROME_BIN'
    : null;

/** The project `webgpu` is that of Node. */
const inChromium = [
  {name: 'webgl', backend: 'webgl', absence: chromiumAbsence},
  {name: 'webgpu-chromium', backend: 'webgpu', absence: chromiumAbsence},
];

const isPresent = ({absence}) => absence === null;

export const nodeBackends = inNode.filter(isPresent);
export const chromiumBackends = inChromium.filter(isPresent);
export const absentBackends = [...inNode, ...inChromium].filter(one => !isPresent(one));

/** Names the backends that the tests could not run on, last of all. In CI that is a failure. */
export default class AbsentBackendsReporter {
  onRunComplete() {
    for (const {name, absence} of absentBackends) {
      process.stderr.write(`\nNot tested: backend ${name}: ${absence}.\n`);
    }
  }

  getLastError() {
    if (process.env.CI !== 'true' || absentBackends.length === 0) return undefined;
    const names = absentBackends.map(({name}) => name).join(', ');
    return new Error(`In CI no backend may be absent: ${names}.`);
  }
}
