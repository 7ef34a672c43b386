/**
 * Runs modules in headless Chromium, on WebGL and WebGPU:
 *
 *     const files = await bundle({entries: {sum: 'src/sum.ts'}});
 *     const total = await withChromium(files, async chromium => {
 *       const page = await chromium.openPage();
 *       return page.evaluate("import('/sum.js').then(({sum}) => sum([1, 2]))");
 *     });
 */
export {bundle, type BundleArgs, type Files} from './bundle.js';
export {ChromiumError, findChromium} from './find_chromium.js';
export {type Chromium, openChromium, withChromium} from './open_chromium.js';
export type {Page} from 'playwright-core';
