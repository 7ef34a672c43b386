#!/usr/bin/env node
/** The command `npm run verify:gpu`: verifies each API in turn, writes the report, prints the table. */
import {writeFile} from 'node:fs/promises';
import {dirname} from 'node:path';

import {checkWritable, runProgram} from '@resbatchnorm/tools-common/command_line';
import {Progress, toJson} from '@resbatchnorm/tools-common/report';
import {version_core} from '@tensorflow/tfjs-core';

import {type Options, parseOptions} from './options.js';
import {apiNames, type ApiReport, type Report} from './report.js';
import {exitCodeOf, exitCodes, reportTable, verdictOf} from './summary.js';
import {verifyApi} from './verify_api.js';

runProgram(async () => {
  const options = parseOptions(process.argv.slice(2));
  if (!options) return exitCodes.passed;
  const {out} = options;
  await checkWritable(out, {folder: dirname(out), files: [out]});
  const apis: ApiReport[] = [];
  const progress = new Progress(process.stderr);
  for (const api of options.api === 'all' ? apiNames : [options.api]) {
    const onStage = (text: string) => progress.show(`${api}: ${text}`);
    apis.push(await verifyApi(api, options, onStage));
  }
  progress.clear();
  const report = makeReport(options, apis);
  await writeFile(out, toJson(report));
  process.stdout.write(`\n${reportTable(report)}\nReport: ${out}\n`);
  return exitCodeOf(report);
});

function makeReport(
  {api, steps, quick, allowSoftware}: Options,
  apis: ApiReport[],
): Report {
  return {
    date: new Date().toISOString(),
    options: {api, steps, quick, allowSoftware},
    versions: {
      Node: process.versions.node,
      platform: `${process.platform} ${process.arch}`,
      'TensorFlow.js': version_core,
    },
    verdict: verdictOf(apis),
    apis,
  };
}
