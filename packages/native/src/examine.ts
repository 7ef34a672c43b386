/** Collects all that `doctor` tells. Changes nothing. */
import {existsSync} from 'node:fs';
import {dirname, join} from 'node:path';

import {additionsSha256} from './addon_build.js';
import {cudaReleaseOf, type Library, locateLibraries} from './cuda_libraries.js';
import {pipLibraryDirectories} from './cuda_libraries.js';
import {findMpi, type Mpi} from './mpi.js';
import {findNvidiaDriver, type NvidiaDriver} from './nvidia_driver.js';
import {type ProbeResult, runProbe} from './run_probe.js';
import {readSetupRecord, type SetupRecord} from './setup_record.js';
import {
  type BuildInfo,
  pipCudaVersions,
  readBuildInfo,
} from './tensorflow_installation.js';
import {findTfjsNode, type TfjsNode} from './tfjs_node.js';

export interface Examination {
  node: string;
  platform: string;
  tfjsNode?: TfjsNode;
  addonExists: boolean;
  /** Undefined if the addon is not one that `setup` built. */
  record?: SetupRecord;
  /** Of what `setup` would add to the addon now. */
  additionsSha256: string;
  /** What came of running one op; undefined without an addon. */
  probe?: ProbeResult;
  build?: BuildInfo;
  /** The releases of CUDA and cuDNN in the pip packages beside TensorFlow. */
  installed: {cuda?: string; cudnn?: string};
  driver?: NvidiaDriver;
  /** The CUDA libraries that this libtensorflow wants; empty if it is built for the CPU. */
  libraries: Library[];
  visibleDevices?: string;
  /** What @resbatchnorm/distributed can join processes by. */
  mpi: Mpi;
}

export async function examine(startDirectories?: string[]): Promise<Examination> {
  const tfjsNode = findTfjsNode(startDirectories);
  const addonExists = tfjsNode !== undefined && existsSync(tfjsNode.addonFile);
  const [driver, mpi, probe] = await Promise.all([
    findNvidiaDriver(),
    findMpi(),
    addonExists ? runProbe({entry: tfjsNode.entry}) : undefined,
  ]);
  const record = tfjsNode && readSetupRecord(tfjsNode.addonFile);
  const tensorflowDirectory =
    record?.tensorflowDirectory ??
    (probe?.ok && probe.libraryFile ? dirname(probe.libraryFile) : undefined);
  const build = tensorflowDirectory ? readBuildInfo(tensorflowDirectory) : undefined;
  return {
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    tfjsNode,
    addonExists,
    record,
    additionsSha256: additionsSha256(),
    probe,
    build,
    installed: tensorflowDirectory ? pipCudaVersions(tensorflowDirectory) : {},
    driver,
    libraries: await wantedLibraries(tfjsNode, probe, build, tensorflowDirectory),
    visibleDevices: process.env.CUDA_VISIBLE_DEVICES,
    mpi,
  };
}

async function wantedLibraries(
  tfjsNode: TfjsNode | undefined,
  probe: ProbeResult | undefined,
  build: BuildInfo | undefined,
  tensorflowDirectory: string | undefined,
): Promise<Library[]> {
  if (!probe?.ok) return [];
  // A libtensorflow without build information is the one that npm downloaded.
  const isCuda = build?.isCuda ?? tfjsNode?.name.endsWith('-gpu');
  if (!isCuda) return [];
  const located = await locateLibraries(
    cudaReleaseOf(probe.tensorflowVersion).libraries,
    tensorflowDirectory ? pipLibraryDirectories(join(tensorflowDirectory, '..')) : [],
  );
  // What TensorFlow itself could not load is missing for it, wherever it lies.
  const missing = new Set(probe.log.missingLibraries.map(({name}) => name));
  return located.map(library =>
    missing.has(library.name) ? {name: library.name} : library,
  );
}
