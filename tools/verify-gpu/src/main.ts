#!/usr/bin/env node
/** The command: verifies each way in turn, writes the report and prints the table. */
import {mkdir, open, writeFile} from 'node:fs/promises';
import {dirname} from 'node:path';

import {version_core} from '@tensorflow/tfjs-core';

import {type Options, parseOptions, UsageError} from './options.js';
import {Progress} from './progress.js';
import {type Report, toJson, wayNames, type WayReport} from './report.js';
import {reportTable} from './table.js';
import {exitCodeOf, exitCodes, verdictOf} from './verdict.js';
import {verifyWay} from './verify_api.js';

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (!options) return exitCodes.passed;
  await checkWritable(options.out);
  const ways: WayReport[] = [];
  const progress = new Progress(process.stderr);
  for (const way of options.way === 'all' ? wayNames : [options.way]) {
    const onStage = (text: string) => progress.show(`${way}: ${text}`);
    ways.push(await verifyWay(way, options, onStage));
  }
  progress.clear();
  const report = makeReport(options, ways);
  await writeFile(options.out, toJson(report));
  process.stdout.write(`\n${reportTable(report)}\nReport: ${options.out}\n`);
  return exitCodeOf(report);
}

function makeReport(
  {way, steps, quick, allowSoftware}: Options,
  ways: WayReport[],
): Report {
  return {
    date: new Date().toISOString(),
    options: {way, steps, quick, allowSoftware},
    versions: {
      Node: process.versions.node,
      platform: `${process.platform} ${process.arch}`,
      'TensorFlow.js': version_core,
    },
    verdict: verdictOf(ways),
    ways,
  };
}

/** Now, not when the work is done. Leaves an earlier report as it is. */
async function checkWritable(file: string): Promise<void> {
  try {
    await mkdir(dirname(file), {recursive: true});
    await (await open(file, 'a')).close();
  } catch (error) {
    throw new UsageError(`--out ${file} cannot be written: ${(error as Error).message}`);
  }
}

main()
  .catch(error => {
    process.stderr.write(`error: ${error instanceof Error ? error.message : error}\n`);
    return error instanceof UsageError ? exitCodes.usage : exitCodes.failed;
  })
  .then(code => {
    process.exitCode = code;
  });
