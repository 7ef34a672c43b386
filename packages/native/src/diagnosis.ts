/** What is wrong, judged from an examination. */
import type {Examination} from './examine.js';
import {type Finding, setUpGpu, whyNoGpu} from './gpu_reasons.js';
import {hasNodeFault} from './node_fault.js';
import {isAtLeast} from './versions.js';

const setUp = 'Run `npx resbatchnorm-native setup`.';

export interface Diagnosis {
  /** What keeps TensorFlow, or the GPU that is there, from being used. */
  problems: Finding[];
  /** What works through this package, but not without it. */
  notes: Finding[];
}

/** `wantsGpu`: whether it is a problem that no GPU is used; by default if one is there. */
export function diagnose(
  examination: Examination,
  wantsGpu = examination.driver !== undefined,
): Diagnosis {
  const notes = [...nodeNotes(examination), ...addonNotes(examination)];
  const broken = whyBroken(examination);
  if (broken) return {problems: [broken], notes};
  const {probe, build, driver, visibleDevices} = examination;
  if (!wantsGpu || !probe?.ok || probe.usesGpu) return {problems: [], notes};
  const {tensorflowVersion, log} = probe;
  const facts = {tensorflowVersion, build, driver, log, visibleDevices};
  return {problems: whyNoGpu(facts), notes};
}

/** Why not even the CPU can be used. */
function whyBroken({
  tfjsNode,
  addonExists,
  record,
  probe,
  driver,
}: Examination): Finding | undefined {
  if (!tfjsNode) {
    return {
      problem:
        'Neither @tensorflow/tfjs-node-gpu nor @tensorflow/tfjs-node is installed here.',
      remedy:
        'Run `npm install --ignore-scripts @tensorflow/tfjs-node-gpu@4.22.0` and then ' +
        '`npx resbatchnorm-native setup`.',
    };
  }
  if (!addonExists) {
    return {
      problem:
        `${tfjsNode.name} has no native addon: its install script did not run, or could ` +
        `not download or build it (${tfjsNode.addonFile} is missing).`,
      remedy: driver ? setUpGpu : setUp,
    };
  }
  if (probe && !probe.ok) {
    const made = record ? 'the addon that setup built' : 'its native addon';
    return {
      problem: `${tfjsNode.name} does not run with ${made}: ${probe.reason}.`,
      remedy: driver ? setUpGpu : setUp,
    };
  }
  return undefined;
}

function addonNotes({record, additionsSha256, driver}: Examination): Finding[] {
  if (!record || record.additionsSha256 === additionsSha256) return [];
  return [
    {
      problem:
        'The addon was built by another version of @resbatchnorm/native: it lacks ops of this one.',
      remedy: driver ? setUpGpu : setUp,
    },
  ];
}

function nodeNotes({node, tfjsNode, probe}: Examination): Finding[] {
  const notes: Finding[] = [];
  if (tfjsNode && hasNodeFault(node)) {
    notes.push({
      problem:
        `Node ${node} has no util.isNullOrUndefined, which ${tfjsNode.name} ` +
        `${tfjsNode.version} calls in its ops (tensorflow/tfjs#8609).`,
      remedy:
        'Load it with loadTensorFlow() of @resbatchnorm/native, or start the program with ' +
        '`node --import @resbatchnorm/native/register` or `resbatchnorm-native run`.',
    });
  }
  if (probe?.ok && !isAtLeast(probe.tensorflowVersion, '2.15')) {
    notes.push({
      problem:
        `libtensorflow ${probe.tensorflowVersion} is the one that npm downloaded: for a GPU ` +
        'it wants CUDA 11 and cuDNN 8.',
      remedy: `For CUDA 12: ${setUpGpu}`,
    });
  }
  return notes;
}
