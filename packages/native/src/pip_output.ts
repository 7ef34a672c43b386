/** Makes sense of what pip writes. */
import {NativeError} from './native_error.js';

/** A few words for the line of pip that tell how far it is, or undefined. */
export function pipStage(line: string): string | undefined {
  const [, file, size] = /^\s*Downloading (\S+) \(([^)]+)\)/.exec(line) ?? [];
  if (file) return `downloading ${file.split('/').at(-1)} (${size})`;
  const [, cached] = /^\s*Using cached (\S+\.whl)/.exec(line) ?? [];
  if (cached) return `taking ${cached} from pip's cache`;
  const [, packages] = /^Installing collected packages: (.*)/.exec(line) ?? [];
  if (packages) return `unpacking ${packages.split(', ').length} packages`;
  return undefined;
}

const networkFailure =
  /NewConnectionError|NameResolutionError|Temporary failure in name resolution|ConnectTimeout|Read timed out|ProxyError|SSLError|CERTIFICATE_VERIFY_FAILED|IncompleteRead|Connection reset/;

/** The one message for a pip that failed. */
export function explainPipFailure(
  output: string,
  requirement: string,
  pythonVersion: string,
  directory: string,
): NativeError {
  const failed = `pip could not install ${requirement}`;
  if (/No space left on device|Errno 28/.test(output)) {
    return new NativeError(
      `${failed}: no space is left on the disk.`,
      `Free some under ${directory} or in the folder for temporary files, or name other ` +
        'folders with XDG_CACHE_HOME and TMPDIR.',
    );
  }
  // Before the missing version: without a network pip knows of no version at all.
  const network = networkFailure.exec(output);
  if (network) {
    return new NativeError(
      `${failed}: the package index does not answer (${network[0]}).`,
      'Check the network, or point pip to a mirror or a folder of wheels with ' +
        'PIP_INDEX_URL, PIP_FIND_LINKS or HTTPS_PROXY.',
    );
  }
  const [, versions] =
    /Could not find a version that satisfies the requirement .*?\(from versions: ([^)]*)\)/.exec(
      output,
    ) ?? [];
  if (versions === 'none') {
    return new NativeError(
      `${failed}: it finds no build of it for Python ${pythonVersion} on this machine.`,
      'Name another Python with --python, and check that pip reaches its package index.',
    );
  }
  if (versions !== undefined) {
    return new NativeError(
      `${failed}: there is no such version for Python ${pythonVersion}.`,
      `Take one of these with --tensorflow: ${newestReleases(versions)}.`,
    );
  }
  const lastError = output.match(/^(?:ERROR|error|OSError).*$/gm)?.at(-1);
  return new NativeError(
    `${failed}: ${lastError ?? (output.trim().split('\n').at(-1) || 'it said nothing.')}`,
    `See what \`python -m pip install ${requirement}\` says in an environment of its own.`,
  );
}

function newestReleases(versions: string): string {
  const releases = versions.split(', ').filter(version => /^[\d.]+$/.test(version));
  return releases.slice(-6).join(', ');
}
