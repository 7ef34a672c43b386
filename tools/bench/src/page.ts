/** What is loaded in a page of Chromium: answers the requests on webgl or webgpu. */
import {AbsentError, adapterDevice} from '@resbatchnorm/tools-common/device';
import '@tensorflow/tfjs-backend-webgl';
import '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';

import {makeHandlers} from './handlers.js';
import {type Reply, replyTo, type RequestName} from './requests.js';

const handlers = makeHandlers({
  open: async ({backend}) => {
    const name = backend!.replace('chromium-', '');
    if (!(await tf.setBackend(name))) {
      throw new AbsentError(`This Chromium has no ${name}.`);
    }
    return {device: adapterDevice(await adapterName(name)), versions: {}, notes: []};
  },
});

export function reply(name: RequestName, args: unknown): Promise<Reply> {
  return replyTo(handlers, name, args);
}

async function adapterName(backend: string): Promise<string> {
  return backend === 'webgl' ? webglRenderer() : webgpuAdapter();
}

/** The little of the DOM that is needed; the sources are checked without it. */
interface Dom {
  document: {createElement(name: 'canvas'): {getContext(name: 'webgl2'): WebGL | null}};
  navigator: {gpu: {requestAdapter(): Promise<{info: AdapterInfo} | null>}};
}
interface WebGL {
  getExtension(name: string): {UNMASKED_RENDERER_WEBGL: number} | null;
  getParameter(name: number): string;
}
interface AdapterInfo {
  vendor: string;
  architecture: string;
  description: string;
}
const {document, navigator} = globalThis as unknown as Dom;

function webglRenderer(): string {
  const gl = document.createElement('canvas').getContext('webgl2');
  const info = gl?.getExtension('WEBGL_debug_renderer_info');
  return info ? gl!.getParameter(info.UNMASKED_RENDERER_WEBGL) : 'unnamed renderer';
}

async function webgpuAdapter(): Promise<string> {
  const info = (await navigator.gpu.requestAdapter())?.info;
  const parts = info ? [info.vendor, info.architecture, info.description] : [];
  return parts.filter(Boolean).join(', ') || 'unnamed adapter';
}
