// What `npm start` and `npm test` do first: installs the dependencies and builds the
// packages, each only if it has not been done for the files as they are now. Nothing is
// installed when this runs, so it uses Node alone.
import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {dirname, join, relative} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lockFile = join(root, 'package-lock.json');
const installed = stampFile('install');
const built = stampFile('build');

checkNodeVersion([20, 19]);
if (isLaterReplica()) await setUpByFirst();
install();
build();

function checkNodeVersion([major, minor]) {
  const [actualMajor, actualMinor] = process.versions.node.split('.').map(Number);
  if (actualMajor > major || (actualMajor === major && actualMinor >= minor)) return;
  fail(
    `Node ${major}.${minor} or newer is needed; this is Node ${process.versions.node}. ` +
      'Get one from https://nodejs.org',
  );
}

// Of the processes that mpirun starts at once, the first sets up, and the others wait for it.
function isLaterReplica() {
  const {OMPI_COMM_WORLD_RANK, PMI_RANK} = process.env;
  return Number(OMPI_COMM_WORLD_RANK ?? PMI_RANK ?? 0) > 0;
}

async function setUpByFirst() {
  const deadline = Date.now() + 15 * 60_000;
  while (!(isInstalled() && isBuilt())) {
    if (Date.now() > deadline)
      fail('the first of the processes has not set up in 15 minutes');
    await sleep(1000);
  }
}

function isInstalled() {
  return existsSync(join(root, 'node_modules')) && installed.read() === hash([lockFile]);
}

function install() {
  if (isInstalled()) return;
  const isFresh = !existsSync(join(root, 'node_modules'));
  runNpm(
    isFresh ? 'installing the dependencies' : 'updating the dependencies',
    isFresh ? ['ci'] : ['install'],
  );
  // Hashed anew: `npm install` may have changed the lock file.
  installed.write(hash([lockFile]));
}

function isBuilt() {
  return (
    packages().every(directory => existsSync(join(directory, 'dist'))) &&
    built.read() === sourcesHash()
  );
}

function build() {
  if (isBuilt()) return;
  const hashed = sourcesHash();
  runNpm('building the packages', ['run', 'build']);
  built.write(hashed);
}

function packages() {
  return [
    ...['packages', 'examples', 'tools'].flatMap(name => foldersIn(join(root, name))),
    join(root, 'testing'),
  ].filter(directory => hasBuildScript(join(directory, 'package.json')));
}

function sourcesHash() {
  const sources = [
    lockFile,
    join(root, 'tsconfig.base.json'),
    ...filesBelow(join(root, 'scripts')),
    ...packages().flatMap(directory => [
      ...filesIn(directory),
      ...['src', 'chromium', 'reference'].flatMap(name =>
        filesBelow(join(directory, name)),
      ),
    ]),
  ];
  return hash(
    sources.filter(file => !file.endsWith('.test.ts') && !file.endsWith('.tsbuildinfo')),
  );
}

function hasBuildScript(packageFile) {
  if (!existsSync(packageFile)) return false;
  const {scripts} = JSON.parse(readFileSync(packageFile, 'utf8'));
  return scripts !== undefined && scripts.build !== undefined;
}

// The stamps lie in node_modules, so that removing it starts everything afresh.
function stampFile(name) {
  const file = join(root, 'node_modules', `.set_up_${name}`);
  return {
    read: () => (existsSync(file) ? readFileSync(file, 'utf8') : undefined),
    write: content => writeFileSync(file, content),
  };
}

// By content, not by time: a checkout of another branch may bring older files.
function hash(files) {
  const digest = createHash('sha256');
  for (const file of files) {
    digest
      .update(`${relative(root, file)}\0`)
      .update(readFileSync(file))
      .update('\0');
  }
  return digest.digest('hex');
}

function foldersIn(directory) {
  return readdirSync(directory, {withFileTypes: true})
    .filter(entry => entry.isDirectory())
    .map(entry => join(directory, entry.name))
    .sort();
}

function filesIn(directory) {
  return readdirSync(directory, {withFileTypes: true})
    .filter(entry => entry.isFile())
    .map(entry => join(directory, entry.name))
    .sort();
}

function filesBelow(directory) {
  if (!existsSync(directory)) return [];
  return [...filesIn(directory), ...foldersIn(directory).flatMap(filesBelow)];
}

function runNpm(stage, args) {
  const startedAt = Date.now();
  process.stdout.write(`${stage} (npm ${args.join(' ')}) … `);
  // npm says where it is; without it, as when this file is run by hand, the PATH has to.
  const npm = process.env.npm_execpath;
  const isNpm = npm !== undefined && /npm-cli\.c?js$/.test(npm);
  const {status, signal, error, stdout, stderr} = spawnSync(
    isNpm ? process.execPath : 'npm',
    isNpm ? [npm, ...args] : args,
    {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      shell: !isNpm && process.platform === 'win32',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        npm_config_update_notifier: 'false',
        // The task runner below Lerna: no background process, no requests to its cloud.
        NX_DAEMON: 'false',
        NX_NO_CLOUD: 'true',
        NX_TUI: 'false',
      },
    },
  );
  if (status !== 0) {
    process.stdout.write('failed\n');
    process.stderr.write(`${stdout || ''}${stderr || ''}`);
    fail(
      `npm ${args.join(' ')} ${error ? error.message : `ended with ${signal || status}`}`,
    );
  }
  process.stdout.write(`${((Date.now() - startedAt) / 1000).toFixed(0)} s\n`);
}

function fail(message) {
  process.stderr.write(`error: ${message}\n`);
  process.exit(1);
}
